//! A stamping press line as a pure simulation: no clock, no IO. Whoever drives it says how much time
//! has passed; it never asks. The same seed and the same orders at the same times give the same line,
//! however the time was cut into steps.
//!
//! The line follows a shift's rhythm, with durations in real minutes divided by the time scale: a
//! stop, a setup with a fresh work order, a run at 40 strokes a minute, a fault now and then. At the
//! scale of 200 of the demo a shift passes in under three minutes and a run makes 133 pieces a second.
//!
//! What a PLC of such a line would show is in [`registers`]; what really happened is [`PressLine::truth`].

mod device;
pub mod registers;

use std::time::Duration;

use crate::truth::{Count, Entered, Truth};

pub use device::LiveLine;

/// The demo's time scale: a minute of the line in 300 ms. Every state lasts at least 1.5 s then, so
/// that a poller with a period under half of that cannot miss one.
pub const DEMO_TIME_SCALE: u32 = 200;

/// The good counter is 16 bits wide and starts close to its end, so that it rolls over soon.
const GOOD: Count = Count { first: 65_400, modulus: 1 << 16, made: 0 };
/// The scrap counter is 32 bits wide; its low word rolls over soon, which shows up a wrong word order.
const SCRAP: Count = Count { first: 0x000F_FFF8, modulus: 1 << 32, made: 0 };

const STROKE: Duration = Duration::from_millis(1_500);
const DRIFT: Duration = Duration::from_secs(20);
const SCRAP_SHARE: f64 = 0.02;

/// What the line is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineState {
    /// Nobody works.
    Stopped,
    /// It makes pieces.
    Running,
    /// It has an alarm and makes nothing.
    Faulted,
    /// The die is being changed for the next work order.
    Setup,
}

impl LineState {
    /// Every state, in the order of their codes from 0.
    pub const ALL: [Self; 4] = [Self::Stopped, Self::Running, Self::Faulted, Self::Setup];

    /// The value of the state register.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The state's name in the demo's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Faulted => "faulted",
            Self::Setup => "setup",
        }
    }

    /// The shortest and the longest stay, in real minutes.
    const fn stay_minutes(self) -> (u64, u64) {
        match self {
            Self::Stopped => (5, 8),
            Self::Running => (8, 20),
            Self::Faulted => (5, 9),
            Self::Setup => (6, 10),
        }
    }
}

/// What the shift leader wants of the line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Stay in the present state. A line begins so, stopped.
    Hold,
    /// Work as a line does, with stops and faults.
    Work,
    /// Get running and stay so.
    KeepRunning,
    /// Stop and stay so.
    ShutDown,
}

/// The line at one moment.
#[derive(Debug, PartialEq)]
pub struct PressLine {
    rng: fastrand::Rng,
    scale: u32,
    now: Duration,
    order: Order,
    state: LineState,
    /// When the present state ends; none when it is to stay.
    state_ends: Option<Duration>,
    next_stroke: Duration,
    next_drift: Duration,
    good: Count,
    scrap: Count,
    states: Vec<Entered>,
    gauges: Gauges,
    work_order: u32,
}

/// What drifts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Gauges {
    die_celsius: f32,
    oil_celsius: f32,
    pressure_decibar: f32,
    alarms: u16,
}

impl PressLine {
    /// A stopped line whose time runs `scale` times faster than a real one's (at least 1).
    pub fn new(seed: u64, scale: u32) -> Self {
        let scale = scale.max(1);
        Self {
            rng: fastrand::Rng::with_seed(seed),
            scale,
            now: Duration::ZERO,
            order: Order::Hold,
            state: LineState::Stopped,
            state_ends: None,
            next_stroke: Duration::ZERO,
            next_drift: DRIFT / scale,
            good: GOOD,
            scrap: SCRAP,
            states: vec![Entered { state: LineState::Stopped.name(), at: Duration::ZERO }],
            gauges: Gauges { die_celsius: 24.0, oil_celsius: 31.0, pressure_decibar: 12.0, alarms: 0 },
            work_order: 417,
        }
    }

    /// Lets the line live until `now`, counted from its beginning. Earlier times are ignored.
    pub fn advance(&mut self, now: Duration) {
        loop {
            let transition = self.state_ends.unwrap_or(Duration::MAX);
            let stroke = if self.state == LineState::Running { self.next_stroke } else { Duration::MAX };
            let next = transition.min(stroke).min(self.next_drift);
            if next > now {
                break;
            }
            self.now = next;
            if next == transition {
                self.leave_state();
            } else if next == stroke {
                self.stroke();
            } else {
                self.drift();
            }
        }
        self.now = self.now.max(now);
    }

    /// Gives the line an order. It finishes what cannot be broken off: no state is shorter than its
    /// shortest stay.
    pub fn give(&mut self, order: Order) {
        self.order = order;
        let (shortest, longest) = self.stay();
        let since = self.states.last().map_or(Duration::ZERO, |entered| entered.at);
        let soonest = self.now.max(since + shortest);
        self.state_ends = match (order, self.state) {
            (Order::Hold, _)
            | (Order::KeepRunning, LineState::Running)
            | (Order::ShutDown, LineState::Stopped) => None,
            (Order::Work, LineState::Running) => {
                Some(soonest + self.between(Duration::ZERO, longest - shortest))
            }
            _ => Some(soonest),
        };
    }

    /// What the line is doing.
    pub const fn state(&self) -> LineState {
        self.state
    }

    /// What happened since the beginning. Keys are `{source}.good`, `{source}.scrap` and `{source}.state`.
    pub fn truth(&self, source: &str) -> Truth {
        Truth {
            counters: [(format!("{source}.good"), self.good), (format!("{source}.scrap"), self.scrap)].into(),
            states: [(format!("{source}.state"), self.states.clone())].into(),
            ..Truth::default()
        }
    }

    fn leave_state(&mut self) {
        let next = match (self.order, self.state) {
            (Order::ShutDown, _) => LineState::Stopped,
            (_, LineState::Stopped) => LineState::Setup,
            (_, LineState::Setup) => LineState::Running,
            (Order::KeepRunning, _) => LineState::Running,
            (_, LineState::Faulted) if self.rng.f64() < 0.8 => LineState::Running,
            (_, LineState::Faulted) => LineState::Stopped,
            (_, LineState::Running) => match self.rng.u8(0..10) {
                0..6 => LineState::Faulted,
                6..8 => LineState::Setup,
                _ => LineState::Stopped,
            },
        };
        self.enter(next);
    }

    fn enter(&mut self, state: LineState) {
        self.state = state;
        self.states.push(Entered { state: state.name(), at: self.now });
        self.gauges.alarms = if state == LineState::Faulted { 1 << self.rng.u16(0..4) } else { 0 };
        match state {
            LineState::Setup => self.work_order += 1,
            LineState::Running => self.next_stroke = self.now + STROKE / self.scale,
            LineState::Stopped | LineState::Faulted => {}
        }
        let (shortest, longest) = self.stay();
        self.state_ends = match (self.order, state) {
            (Order::KeepRunning, LineState::Running) | (Order::ShutDown, LineState::Stopped) => None,
            _ => Some(self.now + self.between(shortest, longest)),
        };
    }

    fn stroke(&mut self) {
        let counter = if self.rng.f64() < SCRAP_SHARE { &mut self.scrap } else { &mut self.good };
        counter.made += 1;
        self.next_stroke += STROKE / self.scale;
    }

    /// Moves each gauge a part of the way to where the state takes it, with a little noise.
    fn drift(&mut self) {
        let (die, oil, pressure) = match self.state {
            LineState::Running => (78.0, 54.0, 1_840.0),
            LineState::Faulted => (64.0, 50.0, 900.0),
            LineState::Setup => (40.0, 44.0, 300.0),
            LineState::Stopped => (24.0, 31.0, 12.0),
        };
        let mut toward = |value: &mut f32, target: f32, share: f32, noise: f32| {
            *value += (target - *value) * share + (self.rng.f32() - 0.5) * noise;
        };
        toward(&mut self.gauges.die_celsius, die, 0.03, 0.6);
        toward(&mut self.gauges.oil_celsius, oil, 0.01, 0.3);
        toward(&mut self.gauges.pressure_decibar, pressure, 0.3, 20.0);
        self.next_drift += DRIFT / self.scale;
    }

    fn stay(&self) -> (Duration, Duration) {
        let (shortest, longest) = self.state.stay_minutes();
        (Duration::from_secs(60 * shortest) / self.scale, Duration::from_secs(60 * longest) / self.scale)
    }

    fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        shortest + (longest - shortest).mul_f64(self.rng.f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn orders() -> impl Strategy<Value = Vec<(u64, Order)>> {
        let order = prop_oneof![
            Just(Order::Hold),
            Just(Order::Work),
            Just(Order::KeepRunning),
            Just(Order::ShutDown)
        ];
        proptest::collection::vec((0..8_000u64, order), 1..8)
    }

    /// The line after each order has had its milliseconds, advanced in steps of at most `step_ms`.
    fn lived(seed: u64, orders: &[(u64, Order)], step_ms: u64) -> PressLine {
        let mut line = PressLine::new(seed, DEMO_TIME_SCALE);
        let mut now = 0;
        for &(stay_ms, order) in orders {
            line.give(order);
            let end = now + stay_ms;
            while now < end {
                now = end.min(now + step_ms);
                line.advance(Duration::from_millis(now));
            }
        }
        line
    }

    proptest! {
        #[test]
        fn the_same_seed_and_orders_make_the_same_line_in_any_steps(
            seed: u64, orders in orders(), step_ms in 1..5_000u64,
        ) {
            prop_assert_eq!(lived(seed, &orders, step_ms), lived(seed, &orders, u64::MAX / 2));
        }

        #[test]
        fn no_state_is_shorter_than_a_poller_needs(seed: u64, orders in orders()) {
            let truth = lived(seed, &orders, 100).truth("press-1");
            for pair in truth.states["press-1.state"].windows(2) {
                prop_assert!(pair[1].at - pair[0].at >= Duration::from_millis(1_500));
                prop_assert!(pair[0].state != pair[1].state);
            }
        }

        #[test]
        fn pieces_are_made_only_while_it_runs(seed: u64, orders in orders()) {
            let line = lived(seed, &orders, 100);
            let states = &line.truth("press-1").states["press-1.state"];
            let ends = states.iter().skip(1).map(|entered| entered.at).chain([line.now]);
            let running: u128 = states
                .iter()
                .zip(ends)
                .filter(|(entered, _)| entered.state == "running")
                .map(|(entered, end)| (end - entered.at).as_nanos() / (STROKE / DEMO_TIME_SCALE).as_nanos())
                .sum();
            // A stroke that falls on the very end of a run may be lost to the transition.
            let made = u128::from(line.good.made + line.scrap.made);
            prop_assert!(made <= running && made + states.len() as u128 >= running, "{made} of {running}");
        }
    }

    #[test]
    fn the_good_counter_rolls_over_within_the_first_run() {
        let line = lived(1, &[(10_000, Order::KeepRunning)], 100);
        assert!(line.good.made > 136);
        assert_eq!(line.good.rollovers(), 1);
        assert_eq!(line.good.raw(), 65_400 + line.good.made - 65_536);
    }

    #[test]
    fn a_line_that_is_told_to_keep_running_does() {
        let mut line = lived(3, &[(20_000, Order::Work), (8_000, Order::KeepRunning)], 100);
        let entered = line.states.len();
        line.advance(Duration::from_secs(3_600));
        assert_eq!((line.state(), line.states.len()), (LineState::Running, entered));
    }

    #[test]
    fn a_line_that_is_shut_down_makes_nothing_more() {
        let mut line = lived(3, &[(20_000, Order::Work), (3_000, Order::ShutDown)], 100);
        let truth = line.truth("press-1");
        assert_eq!(line.state(), LineState::Stopped);
        line.advance(Duration::from_secs(3_600));
        assert_eq!(line.truth("press-1"), truth);
    }
}
