//! A heat-treatment oven with a conveyor as a pure simulation: no clock, no IO. Whoever drives it says how much time
//! has passed, and is handed what changed. Its time goes in steps, so the same seed and the same orders give the same
//! oven however the time was cut.
//!
//! It heats up, and then lets a part out at each step, with a fault now and then. In the folder that it shows:
//!
//! | name | type | meaning |
//! |---|---|---|
//! | `State` | Int32 | 0 cold, 1 heating, 2 running, 3 faulted |
//! | `Count` | UInt32 | parts; counts from 0 |
//! | `Zones` | Double\[4\] | temperatures, °C |
//! | `Temp` | Double | their mean |
//! | `Limits` | Range | the lowest and the highest that a zone may be |
//! | `Name` | String | `oven` |
//! | `Still` | Int32 | never changes |
//! | `Late` | Int32 | may be added later, see [`late`] |
//! | `T0`, `T1`, … | Double | as many as are asked for; all change at once, at every fifth step |

mod live;

use std::time::Duration;

use crate::opcua_server::{History, Value, Variable};
use crate::press_line::Order;
use crate::truth::{Count, Entered};

pub use live::{LiveOven, Record};

/// How many zones there are.
pub const ZONES: usize = 4;
/// The demo's step: ten parts a second.
pub const DEMO_STEP: Duration = Duration::from_millis(100);

/// The places of the variables that change, in [`Oven::variables`].
const STATE: usize = 0;
const COUNT: usize = 1;
const ZONES_AT: usize = 2;
const TEMP: usize = 3;
const MANY_FROM: usize = 7;

const AMBIENT_CELSIUS: f64 = 24.0;
const SET_POINT_CELSIUS: [f64; ZONES] = [780.0, 840.0, 865.0, 850.0];
/// What a zone nears its set point by in a step, so that heating up takes 25 steps.
const GAIN: f64 = 0.15;
const NOISE_CELSIUS: f64 = 0.5;
/// How close to its set point a zone has to be for parts to go through.
const HOT_WITHIN_CELSIUS: f64 = 15.0;
/// Thermometers show eighths of a degree.
const RESOLUTION: f64 = 8.0;
const FAULT_SHARE: f64 = 0.02;
const FAULT_STEPS: std::ops::Range<u32> = 8..20;
const MANY_EVERY_STEPS: u64 = 5;

/// What the oven is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OvenState {
    /// It is off.
    Cold,
    /// It gets hot, or hot again.
    Heating,
    /// Parts go through.
    Running,
    /// It has an alarm, and cools down.
    Faulted,
}

impl OvenState {
    /// The state's name in the demo's configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Heating => "heating",
            Self::Running => "running",
            Self::Faulted => "faulted",
        }
    }

    /// What `State` shows.
    const fn code(self) -> i32 {
        self as i32
    }
}

/// A variable changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Its place in [`Oven::variables`].
    pub variable: usize,
    /// What it holds from then on.
    pub value: Value,
    /// When, since the oven was made.
    pub at: Duration,
}

/// The oven at one moment.
#[derive(Debug)]
pub struct Oven {
    rng: fastrand::Rng,
    step: Duration,
    steps: u64,
    order: Order,
    state: OvenState,
    fault_steps: u32,
    celsius: [f64; ZONES],
    parts: Count,
    states: Vec<Entered>,
    many: usize,
}

impl Oven {
    /// A cold oven that is let alone. It lives in steps of `step`, and has `many` variables for load.
    pub fn new(seed: u64, step: Duration, many: usize) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            step,
            steps: 0,
            order: Order::Hold,
            state: OvenState::Cold,
            fault_steps: 0,
            celsius: [AMBIENT_CELSIUS; ZONES],
            parts: Count { first: 0, modulus: 1 << 32, made: 0 },
            states: vec![Entered { state: OvenState::Cold.name(), at: Duration::ZERO }],
            many,
        }
    }

    /// What it shows, as it is at `now_us`.
    pub fn variables(&self, now_us: i64) -> Vec<Variable> {
        let variable = |name: &str, value| Variable {
            name: name.to_owned(),
            value,
            since_us: now_us,
            history: History::Kept,
        };
        let mut variables = vec![
            variable("State", Value::Int32(self.state.code())),
            variable("Count", Value::UInt32(self.count())),
            variable("Zones", Value::Doubles(self.zones().to_vec())),
            variable("Temp", Value::Double(self.mean())),
            variable("Limits", Value::Range(0.0, 950.0)),
            variable("Name", Value::Text("oven".to_owned())),
            variable("Still", Value::Int32(7)),
        ];
        let many = (0..self.many).map(|number| Variable {
            history: History::Forgotten,
            ..variable(&format!("T{number}"), Value::Double(0.0))
        });
        variables.extend(many);
        variables
    }

    /// Lets the oven live until `now`, counted from its beginning, and tells what happened.
    pub fn advance(&mut self, now: Duration) -> Vec<Happening> {
        let mut happenings = Vec::new();
        loop {
            let at = self.step * u32::try_from(self.steps + 1).unwrap_or(u32::MAX);
            if at > now {
                return happenings;
            }
            self.steps += 1;
            if self.order != Order::Hold {
                self.live_a_step(at, &mut happenings);
            }
        }
    }

    /// Gives the oven an order. It shows from the next step on.
    pub const fn give(&mut self, order: Order) {
        self.order = order;
    }

    /// What the oven is doing.
    pub const fn state(&self) -> OvenState {
        self.state
    }

    /// What it has counted.
    pub const fn parts(&self) -> Count {
        self.parts
    }

    /// Which states it was in, in order.
    pub fn states(&self) -> &[Entered] {
        &self.states
    }

    /// What its thermometers show.
    pub fn zones(&self) -> [f64; ZONES] {
        self.celsius.map(|celsius| (celsius * RESOLUTION).round() / RESOLUTION)
    }

    fn live_a_step(&mut self, at: Duration, happenings: &mut Vec<Happening>) {
        let mut happen = |variable, value| happenings.push(Happening { variable, value, at });
        let next = self.next_state();
        if next != self.state {
            self.state = next;
            self.states.push(Entered { state: next.name(), at });
            happen(STATE, Value::Int32(next.code()));
        }
        let (zones, mean) = (self.zones(), self.mean());
        self.heat();
        if self.zones() != zones {
            happen(ZONES_AT, Value::Doubles(self.zones().to_vec()));
        }
        if self.mean() != mean {
            happen(TEMP, Value::Double(self.mean()));
        }
        if self.state == OvenState::Running {
            self.parts.made += 1;
            happen(COUNT, Value::UInt32(self.count()));
        }
        if self.steps.is_multiple_of(MANY_EVERY_STEPS) {
            for number in 0..self.many {
                happen(MANY_FROM + number, Value::Double(self.steps as f64));
            }
        }
    }

    fn next_state(&mut self) -> OvenState {
        match (self.order, self.state) {
            (Order::Hold, state) => state,
            (Order::ShutDown, _) => OvenState::Cold,
            (_, OvenState::Cold) => OvenState::Heating,
            (_, OvenState::Heating) if self.is_hot() => OvenState::Running,
            (_, OvenState::Heating) => OvenState::Heating,
            (_, OvenState::Faulted) => {
                self.fault_steps = self.fault_steps.saturating_sub(1);
                if self.fault_steps == 0 { OvenState::Heating } else { OvenState::Faulted }
            }
            (Order::Work, OvenState::Running) if self.rng.f64() < FAULT_SHARE => {
                self.fault_steps = self.rng.u32(FAULT_STEPS);
                OvenState::Faulted
            }
            (Order::Work | Order::KeepRunning, OvenState::Running) => OvenState::Running,
        }
    }

    fn heat(&mut self) {
        let is_on = matches!(self.state, OvenState::Heating | OvenState::Running);
        for (celsius, set_point) in self.celsius.iter_mut().zip(SET_POINT_CELSIUS) {
            let target = if is_on { set_point } else { AMBIENT_CELSIUS };
            *celsius += (target - *celsius) * GAIN;
            if is_on {
                *celsius += (self.rng.f64() - 0.5) * 2.0 * NOISE_CELSIUS;
            }
        }
    }

    fn is_hot(&self) -> bool {
        let mut zones = self.celsius.iter().zip(SET_POINT_CELSIUS);
        zones.all(|(celsius, set_point)| (set_point - celsius).abs() <= HOT_WITHIN_CELSIUS)
    }

    fn mean(&self) -> f64 {
        self.zones().iter().sum::<f64>() / ZONES as f64
    }

    /// The counter is 32 bits wide and rolls over.
    fn count(&self) -> u32 {
        u32::try_from(self.parts.raw()).expect("the modulus sees to it")
    }
}

/// The variable that may come later, as it is at `now_us`.
pub fn late(now_us: i64) -> Variable {
    Variable { name: "Late".to_owned(), value: Value::Int32(2), since_us: now_us, history: History::Kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lived(orders: &[(u32, Order)], cut: u32) -> (Oven, Vec<Happening>) {
        let mut oven = Oven::new(3, Duration::from_millis(10), 2);
        let (mut happenings, mut now) = (Vec::new(), 0);
        for (steps, order) in orders {
            oven.give(*order);
            for _ in 0..steps / cut {
                now += cut;
                happenings.extend(oven.advance(Duration::from_millis(10) * now));
            }
        }
        (oven, happenings)
    }

    #[test]
    fn an_oven_is_the_same_however_its_time_is_cut() {
        let orders = [(600, Order::Work), (200, Order::ShutDown)];
        let ((one, told), (other, told_otherwise)) = (lived(&orders, 1), lived(&orders, 100));
        assert_eq!(told, told_otherwise);
        assert_eq!((one.states(), one.parts()), (other.states(), other.parts()));
        assert!(one.parts().made > 100, "{:?}", one.parts());
    }

    #[test]
    fn what_happens_is_what_the_oven_says_of_itself() {
        let (oven, told) = lived(&[(600, Order::Work)], 1);
        let of = |place: usize| told.iter().filter(move |happening| happening.variable == place);
        assert_eq!(of(COUNT).count() as u64, oven.parts().made);
        assert_eq!(of(STATE).count(), oven.states().len() - 1);
        assert!(of(STATE).any(|happening| happening.value == Value::Int32(OvenState::Faulted.code())));
        let last = of(ZONES_AT).next_back().expect("it got hot");
        assert_eq!(last.value, Value::Doubles(oven.zones().to_vec()));
        assert_eq!(of(MANY_FROM + 1).count(), 120);
        assert_eq!(oven.variables(0).len(), MANY_FROM + 2);
        assert_eq!(oven.variables(0)[MANY_FROM].name, "T0");
    }

    #[test]
    fn only_what_changes_is_told() {
        let (_, told) = lived(&[(2_000, Order::KeepRunning)], 1);
        let first = Oven::new(3, Duration::from_millis(10), 2).variables(0);
        let mut holds: Vec<Value> = first.into_iter().map(|variable| variable.value).collect();
        for happening in told {
            assert_ne!(holds[happening.variable], happening.value, "{happening:?}");
            holds[happening.variable] = happening.value;
        }
    }

    #[test]
    fn an_oven_that_is_told_to_keep_running_does() {
        let (oven, _) = lived(&[(40, Order::Work), (2_000, Order::KeepRunning)], 1);
        assert_eq!(oven.state(), OvenState::Running);
        assert!(oven.parts().made > 1_900, "{:?}", oven.parts());
    }

    #[test]
    fn an_oven_that_is_let_alone_changes_nothing() {
        let (mut oven, _) = lived(&[(300, Order::Work), (100, Order::ShutDown), (10, Order::Hold)], 1);
        assert_eq!(oven.state(), OvenState::Cold);
        assert_eq!(oven.advance(Duration::from_secs(3_600)), []);
    }
}
