//! The proof table: what the plant made against what the witness received.

use std::io;

use penstock_plant::truth::Truth;
use penstock_plant::witness::{Tally, Verdict};

use super::screen::{Look, Screen, grouped};

/// Shows the verdict.
pub(super) fn show(
    screen: &mut Screen,
    truth: &Truth,
    verdict: &Verdict,
    made_while_dead: u64,
) -> io::Result<()> {
    let title = screen.paint(Look::Strong, "The proof");
    let explanation = screen.paint(
        Look::Faint,
        "The plant's own books against an independent subscriber that drops the ids it knows.",
    );
    screen.say(&format!("\n{title}\n   {explanation}\n"))?;
    screen.say(&format!("   {:<22}{:>10}{:>10}{:>8}{:>9}", "", "produced", "received", "lost", "doubled"))?;
    for (tag, tally) in &verdict.counters {
        row(screen, &format!("pieces {tag}"), *tally)?;
    }
    for (tag, tally) in &verdict.states {
        row(screen, &format!("states {tag}"), *tally)?;
    }
    for (tag, tally) in &verdict.gauges {
        row(screen, &format!("values {tag}"), *tally)?;
    }
    for (stream, tally) in &verdict.streams {
        row(screen, &format!("events {}", lane(stream)), tally.places)?;
    }
    screen.say("")?;

    let rollovers: u64 = truth.counters.values().map(|count| count.rollovers()).sum();
    screen.say(&format!(
        "   {} events received; {} of them repeats, known by their ids; {} out of sequence.",
        grouped(verdict.deliveries),
        grouped(verdict.repeats()),
        grouped(verdict.out_of_sequence()),
    ))?;
    screen.say(&format!(
        "   {} pieces were made while the gateway was dead; counters rolled over {}.",
        grouped(made_while_dead),
        times(rollovers),
    ))?;
    screen.say(&format!("   {}\n", screen.paint(Look::Faint, &honesty(truth))))?;
    conclude(screen, verdict)
}

/// What is not promised.
fn honesty(truth: &Truth) -> String {
    let changes: usize = truth.gauges.values().map(|gauge| gauge.changes().count()).sum();
    let owed: usize = truth.gauges.values().map(|gauge| gauge.owed().count()).sum();
    format!(
        "Counters are owed in full, whoever was dead. No poller sees what changes and changes back between\n   \
         two polls: the press's states last 1.5 s or longer. And {} temperatures that changed while the\n   \
         gateway was dead, or in the 2 s before that, are not owed: the oven tells them to whoever listens.",
        grouped((changes - owed) as u64)
    )
}

fn row(screen: &mut Screen, name: &str, tally: Tally) -> io::Result<()> {
    let count = |number: u64, width: usize| {
        let text = format!("{:>width$}", grouped(number));
        screen.paint(if number == 0 { Look::Good } else { Look::Bad }, &text)
    };
    let (lost, doubled) = (count(tally.lost, 8), count(tally.doubled, 9));
    let (produced, received) = (grouped(tally.produced), grouped(tally.received));
    screen.say(&format!("   {name:<22}{produced:>10}{received:>10}{lost}{doubled}"))
}

/// `edge-01/business/3f2a9c01` is the lane `business`.
fn lane(stream: &str) -> &str {
    stream.split('/').nth(1).unwrap_or(stream)
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        number => format!("{} times", grouped(number)),
    }
}

fn conclude(screen: &mut Screen, verdict: &Verdict) -> io::Result<()> {
    let (look, text) = if verdict.is_clean() {
        (Look::Good, format!("{} facts produced: 0 lost, 0 doubled.", grouped(verdict.facts().produced)))
    } else if verdict.events == 0 {
        (Look::Bad, "Nothing was received.".to_owned())
    } else {
        let (lost, doubled) = (grouped(verdict.lost()), grouped(verdict.doubled()));
        let malformed = grouped(verdict.malformed);
        (Look::Bad, format!("NOT proven: {lost} lost, {doubled} doubled, {malformed} malformed."))
    };
    screen.say(&format!("   {}", screen.paint(look, &text)))
}
