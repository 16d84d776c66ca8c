//! Options that say which events are meant, the same for every command.

use std::time::{Duration, SystemTime};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use penstock_buffer::Selection;
use penstock_events::{AssetPath, EventType, Lane, Sequence, Timestamp};

use crate::exit::Exit;

/// Which events.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which events")]
pub(super) struct Selecting {
    /// Those of this lane
    #[arg(long, value_parser = lanes(), value_name = "LANE")]
    lane: Option<Lane>,
    /// Those with this sequence number or a higher one
    #[arg(long, value_name = "SEQUENCE", requires = "lane", value_parser = sequence)]
    from: Option<Sequence>,
    /// Those with this sequence number or a lower one
    #[arg(long, value_name = "SEQUENCE", requires = "lane", value_parser = sequence)]
    to: Option<Sequence>,
    /// Those of this time or later: 90m, 2h, 3d ago, or 2026-01-31T06:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Those of an earlier time than this
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Those of this asset and of all below it; may be repeated
    #[arg(long = "asset", value_name = "PATH", value_delimiter = ',')]
    assets: Vec<AssetPath>,
    /// Those of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = event_type)]
    types: Vec<EventType>,
}

impl Selecting {
    /// The selection.
    ///
    /// # Errors
    /// When it can take nothing.
    pub(super) fn selection(&self) -> Result<Selection, Exit> {
        let Self { lane, from, to, since, until, assets, types } = self;
        if let (Some(from), Some(to)) = (from, to)
            && from > to
        {
            return Err(Exit::usage(format_args!(
                "--from {from} is behind --to {to}: no event is between them"
            )));
        }
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err(Exit::usage(format_args!(
                "--since {since} is not before --until {until}: no event is between them"
            )));
        }
        let selection = Selection {
            lane: *lane,
            from: *from,
            to: *to,
            since: *since,
            until: *until,
            assets: assets.clone(),
            types: types.clone(),
        };
        if selection.lanes().next().is_none() {
            return Err(Exit::usage(
                "events of these types are not in that lane; leave --lane or --type out",
            ));
        }
        Ok(selection)
    }
}

/// A lane by its name.
pub(super) fn lanes() -> impl TypedValueParser<Value = Lane> {
    PossibleValuesParser::new(Lane::ALL.map(Lane::as_str)).try_map(|text| text.parse::<Lane>())
}

/// A sequence number.
pub(super) fn sequence(text: &str) -> Result<Sequence, String> {
    // Events carry it with leading zeros.
    let number = text.parse().ok().filter(|&number| number > 0 && number < u64::MAX);
    number.map(Sequence).ok_or_else(|| "sequence numbers count from 1, such as 4711".to_owned())
}

/// The name of a type.
pub(super) fn event_type(text: &str) -> Result<EventType, String> {
    text.parse().map_err(|_| {
        let known: Vec<&str> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        format!("there are {}", known.join(", "))
    })
}

/// A time, or how long ago it was.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Some(age) = age(text) {
        let then = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        return Ok(Timestamp::from(then));
    }
    text.parse().map_err(|_| {
        "give a time with its offset, such as 2026-01-31T06:00:00Z or 2026-01-31T07:00:00+01:00, or an age such as 90m, 2h or 3d"
            .to_owned()
    })
}

fn age(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_or_have_an_offset() {
        let zulu = moment("2026-01-31T06:00:00Z").expect("a time");
        assert_eq!(moment("2026-01-31T07:00:00+01:00").expect("a time"), zulu);
        let hour = moment("2h").expect("an age");
        let now = Timestamp::from(SystemTime::now());
        assert!(now.checked_since(hour).expect("it is over").as_secs().abs_diff(7_200) < 60);
        assert_eq!(moment("99999999999w"), Ok(Timestamp::EPOCH), "longer ago than any event");
        for text in ["", "2", "h", "2 h", "-2h", "yesterday", "2026-01-31", "2026-01-31T06:00:00", "1y"] {
            assert!(moment(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn sequence_numbers_are_read_as_events_carry_them() {
        assert_eq!(sequence("00000000000000000042"), Ok(Sequence(42)));
        for text in ["0", "-1", "1.5", "x", "", "18446744073709551615", "99999999999999999999999"] {
            assert!(sequence(text).is_err(), "{text:?} was taken");
        }
    }
}
