//! What a broker's answer to an event means for the event: a table of reason codes. Pure.

use rumqttc::PubAck;

use super::reason::Explanation;
use crate::Outcome;

/// What becomes of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Meaning {
    /// The broker has it.
    Delivered,
    /// It is this event, or this topic, that is not wanted: sending it again as things are will not help.
    Refused,
    /// The broker does not say why, or not in the words of the standard. It may be the event or a bad moment.
    Unclear,
    /// It lies in the moment and not in the event: the event waits for that to pass.
    Failed,
}

/// The reason codes of a PUBACK (MQTT 5.0, section 3.4.2.1), and 0x95, which the standard does not have
/// for it and mosquitto sends for a message over its `message_size_limit`.
///
/// Rights (0x87) are given by topic, so other events may pass: this one is set aside for an operator, who
/// has it sent again once the rights are mended. Whoever calls must see a broker that refuses everything.
const CODES: [(u8, &str, Meaning); 10] = [
    (0x00, "success", Meaning::Delivered),
    (0x10, "no matching subscribers", Meaning::Delivered),
    (0x80, "unspecified error", Meaning::Unclear),
    (0x83, "implementation specific error", Meaning::Unclear),
    (0x87, "not authorized to publish to this topic", Meaning::Refused),
    (0x90, "topic name invalid", Meaning::Refused),
    (0x91, "packet identifier in use", Meaning::Failed),
    (0x95, "packet too large", Meaning::Refused),
    (0x97, "quota exceeded", Meaning::Failed),
    (0x99, "payload format invalid", Meaning::Refused),
];
/// Any other code: a broker that invents them may mean anything.
const UNKNOWN: (&str, Meaning) = ("a code unknown in a PUBACK", Meaning::Unclear);

/// The outcome that a PUBACK tells, whose code is `foreign` if the client library could not carry it.
pub(super) fn outcome(puback: &PubAck, foreign: Option<u8>) -> Outcome {
    let code = foreign.unwrap_or(puback.reason as u8);
    let known = CODES.iter().find(|(known, ..)| *known == code);
    let (words, meaning) = known.map_or(UNKNOWN, |&(_, words, meaning)| (words, meaning));
    let explanation = puback.properties.as_ref().and_then(|properties| properties.reason_string.as_deref());
    let reason = format!("the broker says: {words} (0x{code:02X}){}", Explanation(explanation));
    let code = Some(code.into());
    match meaning {
        Meaning::Delivered => Outcome::Delivered,
        Meaning::Refused => Outcome::Refused { reason, code },
        Meaning::Unclear => Outcome::Unclear { reason, code },
        Meaning::Failed => Outcome::Failed { reason },
    }
}

#[cfg(test)]
mod tests {
    use rumqttc::{PubAckProperties, PubAckReason};

    use super::*;

    fn told(code: u8) -> Outcome {
        let mut puback = PubAck::new(7, None);
        match PubAckReason::try_from(code) {
            Ok(reason) => {
                puback.reason = reason;
                outcome(&puback, None)
            }
            Err(_) => {
                puback.reason = PubAckReason::UnspecifiedError;
                outcome(&puback, Some(code))
            }
        }
    }

    #[test]
    fn every_code_means_what_the_standard_says_and_no_other_settles_an_event() {
        for code in 0..=u8::MAX {
            let words = format!("(0x{code:02X})");
            match told(code) {
                Outcome::Delivered => assert!([0x00, 0x10].contains(&code), "{code:#x} delivers"),
                Outcome::Failed { reason } => {
                    assert!([0x91, 0x97].contains(&code), "{code:#x} passes");
                    assert!(reason.contains(&words), "{reason}");
                }
                Outcome::Refused { reason, code: told } => {
                    assert!([0x87, 0x90, 0x95, 0x99].contains(&code), "{code:#x} refuses");
                    assert!(reason.contains(&words) && told == Some(code.into()), "{reason}");
                }
                // What is not understood neither blocks a lane for ever nor gives up at once.
                Outcome::Unclear { reason, code: told } => {
                    assert!(reason.contains(&words) && told == Some(code.into()), "{reason}");
                }
            }
        }
    }

    #[test]
    fn a_brokers_own_words_are_passed_on() {
        let mut puback = PubAck::new(7, None);
        puback.reason = PubAckReason::QuotaExceeded;
        puback.properties =
            Some(PubAckProperties { reason_string: Some("1 GB a day".into()), user_properties: Vec::new() });
        let expected = r#"the broker says: quota exceeded (0x97): "1 GB a day""#;
        assert_eq!(outcome(&puback, None), Outcome::Failed { reason: expected.into() });
    }
}
