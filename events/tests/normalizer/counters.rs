//! `production.completed`: every piece is counted once, whatever the counter and the process do.

use std::collections::{HashMap, HashSet};

use penstock_events::normalizer::{CounterRule, Rule};
use penstock_events::{Cause, CounterMark, Event, Fact, Output, Sample, Value, identity};
use proptest::prelude::*;

use crate::press::{Press, asset, at_ms, bad, briefs, site, uint};

fn rule(highest: u64, max_step: u64) -> Rule {
    Rule::Counter(CounterRule { asset: asset(), output: Output::Good, highest, max_step })
}

fn mark_of(event: &Event) -> (CounterMark, u64) {
    match &event.fact {
        Fact::ProductionCompleted { counter, quantity, .. } => (*counter, *quantity),
        other => panic!("{other:?} is no production"),
    }
}

#[test]
fn counting_begins_at_the_first_reading() {
    let mut press = Press::with(vec![rule(u64::MAX, 100)]);
    assert_eq!(briefs(&press.read(at_ms(0), uint(5_000))), Vec::<String>::new());
    assert_eq!(briefs(&press.read(at_ms(1_000), uint(5_000))), Vec::<String>::new());
    assert_eq!(briefs(&press.read(at_ms(2_000), uint(5_003))), ["2000 +3 5000..5003"]);
}

#[test]
fn a_fall_is_a_rollover_up_to_max_step_and_a_reset_beyond() {
    let fall = |value| {
        let mut press = Press::with(vec![rule(9_999, 10)]);
        press.read(at_ms(0), uint(9_995));
        briefs(&press.read(at_ms(1_000), uint(value)))
    };
    assert_eq!(fall(0), ["1000 +5 9995..0"]);
    assert_eq!(fall(5), ["1000 +10 9995..5"]);
    assert_eq!(fall(6), ["1000 +6 9995..6"]);
}

#[test]
fn a_reset_counter_counts_from_zero_even_when_seen_at_zero() {
    let mut press = Press::with(vec![rule(u64::from(u32::MAX), 100)]);
    press.read(at_ms(0), uint(500));
    assert_eq!(briefs(&press.read(at_ms(1_000), uint(0))), Vec::<String>::new());
    press.restart();
    assert_eq!(briefs(&press.read(at_ms(2_000), uint(4))), ["2000 +4 0..4"]);
}

#[test]
fn a_counter_of_64_bits_rolls_over() {
    let mut press = Press::with(vec![rule(u64::MAX, u64::MAX)]);
    press.read(at_ms(0), uint(u64::MAX - 1));
    assert_eq!(briefs(&press.read(at_ms(1_000), uint(2))), [format!("1000 +4 {}..2", u64::MAX - 1)]);
}

#[test]
fn a_highest_value_lowered_in_the_configuration_is_taken_as_a_reset() {
    let mut press = Press::with(vec![rule(u64::from(u32::MAX), 1_000)]);
    press.read(at_ms(0), uint(70_000));
    press.restart_with(vec![rule(65_535, 1_000)]);
    assert_eq!(briefs(&press.read(at_ms(1_000), uint(12))), ["1000 +12 70000..12"]);
}

#[test]
fn two_runs_never_share_an_epoch_though_the_clock_steps_back() {
    let mut press = Press::with(vec![rule(u64::MAX, 1)]);
    press.read(at_ms(0), uint(50));
    let first = press.read(at_ms(9_000), uint(7));
    let second = press.read(at_ms(9_000), uint(3));
    let third = press.read(at_ms(10_000), uint(7));
    let fourth = press.read(at_ms(9_000), uint(2));
    let ids: HashSet<_> =
        [&first, &second, &third, &fourth].map(|events| identity::id(&site(), &events[0])).into();
    assert_eq!(ids.len(), 4);
}

/// What happens to the press between one poll and the next.
#[derive(Clone, Debug)]
struct Turn {
    /// Pieces made, as a share of what may be made unread.
    share: f64,
    reset: Reset,
    /// Readings that say nothing, before the one that counts.
    noise: Vec<Noise>,
    fate: Fate,
    /// Slots that the clock moves; backwards when negative.
    slots: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reset {
    None,
    BeforeThePieces,
}

#[derive(Clone, Debug)]
enum Noise {
    Bad(Cause),
    BeyondHighest,
    Value(Value),
}

/// What becomes of the process after the poll.
#[derive(Clone, Copy, Debug)]
enum Fate {
    RunsOn,
    Restarts,
    /// A crash before the commit: its events and its state are lost together.
    LosesTheCommit,
}

fn turn() -> impl Strategy<Value = Turn> {
    let share = prop_oneof![2 => Just(0.0), 2 => Just(1.0), 6 => 0.0..1.0];
    let reset = prop_oneof![5 => Just(Reset::None), 1 => Just(Reset::BeforeThePieces)];
    let noise = prop_oneof![
        Just(Noise::Bad(Cause::Timeout)),
        Just(Noise::Bad(Cause::ModbusException(2))),
        Just(Noise::BeyondHighest),
        Just(Noise::Value(Value::Int(-1))),
        Just(Noise::Value(Value::Float(3.0))),
        Just(Noise::Value(Value::Bool(true))),
        Just(Noise::Value(Value::Text("7".into()))),
    ];
    let fate =
        prop_oneof![6 => Just(Fate::RunsOn), 1 => Just(Fate::Restarts), 2 => Just(Fate::LosesTheCommit)];
    let slots = prop_oneof![4 => 1_i64..4, 1 => -6_i64..=0];
    (share, reset, prop::collection::vec(noise, 0..3), fate, slots)
        .prop_map(|(share, reset, noise, fate, slots)| Turn { share, reset, noise, fate, slots })
}

fn highest() -> impl Strategy<Value = u64> {
    prop_oneof![1_u64..30, Just(9_999), Just(65_535), Just(u64::from(u32::MAX)), Just(u64::MAX), any::<u64>()]
        .prop_map(|highest| highest.max(1))
}

/// The truth: pieces in a big integer, and the register that shows some of it.
struct Machine {
    highest: u64,
    max_step: u64,
    made: u128,
    register: u64,
    /// What was last committed: the pieces made and the register's value then; none before the first.
    told: Option<Told>,
}

#[derive(Clone, Copy)]
struct Told {
    made: u128,
    register: u64,
    reset: Reset,
}

impl Machine {
    fn pieces_untold(&self) -> u128 {
        self.told.map_or(0, |told| self.made - told.made)
    }

    /// Makes pieces as far as they can be told from the counter, as `CounterRule` promises it: no more
    /// than `max_step` unread, and no reset that looks like something else or swallows pieces.
    fn take(&mut self, turn: &Turn) {
        let room = u128::from(self.max_step).saturating_sub(self.pieces_untold());
        let pieces = (u64::try_from(room).unwrap() as f64 * turn.share) as u64;
        let pieces = pieces.min(u64::try_from(room).unwrap());
        let reset_to = if self.told.is_none_or(|told| told.reset == Reset::BeforeThePieces) {
            None
        } else {
            [pieces, pieces.min(3), 0].into_iter().find(|pieces| self.reset_is_plain(*pieces))
        };
        match (turn.reset, reset_to, &mut self.told) {
            (Reset::BeforeThePieces, Some(pieces), Some(told)) => {
                told.reset = Reset::BeforeThePieces;
                self.register = pieces;
                self.made += u128::from(pieces);
            }
            (_, _, Some(Told { reset: Reset::BeforeThePieces, .. })) => {
                // More pieces after an untold reset: only while it still cannot be a rollover.
                let register = self.register.saturating_add(pieces);
                if self.fall_is_plain(register) {
                    self.made += u128::from(register - self.register);
                    self.register = register;
                }
            }
            _ => {
                let modulus = u128::from(self.highest) + 1;
                self.register =
                    u64::try_from((u128::from(self.register) + u128::from(pieces)) % modulus).unwrap();
                self.made += u128::from(pieces);
            }
        }
    }

    fn reset_is_plain(&self, register: u64) -> bool {
        self.pieces_untold() == 0 && self.fall_is_plain(register)
    }

    fn fall_is_plain(&self, register: u64) -> bool {
        let Some(told) = self.told else { return false };
        let as_rollover = u128::from(self.highest) + 1 + u128::from(register) - u128::from(told.register);
        register < told.register && as_rollover > u128::from(self.max_step)
    }
}

fn sample_of(noise: &Noise, highest: u64) -> Sample {
    match noise {
        Noise::Bad(cause) => bad(*cause),
        Noise::BeyondHighest => highest.checked_add(1).map_or(bad(Cause::Malformed), uint),
        Noise::Value(value) => Sample::Good(value.clone()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn unique_ids_add_up_to_the_true_count(
        highest in highest(),
        step_share in 0.0_f64..=1.0,
        start_share in 0.0_f64..=1.0,
        turns in prop::collection::vec(turn(), 1..60),
    ) {
        let max_step = ((highest as f64 * step_share) as u64).clamp(1, highest);
        let register = ((highest as f64 * start_share) as u64).min(highest);
        let mut machine = Machine { highest, max_step, made: 0, register, told: None };
        let mut press = Press::with(vec![rule(highest, max_step)]);
        let mut first_told = None;
        let mut quantities = HashMap::new();
        let mut marks = HashSet::new();
        let mut last: Option<CounterMark> = None;
        let mut slot = 0;
        for turn in &turns {
            slot += turn.slots;
            machine.take(turn);
            for noise in &turn.noise {
                let events = press.read(at_ms(slot * 1_000), sample_of(noise, highest));
                prop_assert!(events.is_empty());
            }
            let outcome = press.read_uncommitted(at_ms(slot * 1_000), uint(machine.register));
            if let Fate::LosesTheCommit = turn.fate {
                press.restart();
                continue;
            }
            for event in press.commit(outcome) {
                let (mark, quantity) = mark_of(&event);
                quantities.insert(identity::id(&site(), &event), u128::from(quantity));
                prop_assert!(marks.insert((mark.epoch, mark.to)), "{mark:?} repeats");
                let chained = last.is_none_or(|last| {
                    mark.from == last.to || (mark.epoch != last.epoch && mark.from == 0)
                });
                prop_assert!(chained, "{mark:?} does not follow {last:?}");
                last = Some(mark);
            }
            let first = *first_told.get_or_insert(machine.made);
            machine.told = Some(Told { made: machine.made, register: machine.register, reset: Reset::None });
            prop_assert_eq!(quantities.values().sum::<u128>(), machine.made - first);
            if let Fate::Restarts = turn.fate {
                press.restart();
            }
        }
    }
}
