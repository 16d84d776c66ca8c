//! What the desk answers: records, progress in between, and how it ended. On the control socket each is a line of
//! JSON, and the last line is the end, so that an answer that was cut off is not taken for a whole one.

use serde::{Deserialize, Serialize};

const RECORD: &str = r#"{"record":"#;

/// A part of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// One line of the command's JSON.
    Record(String),
    /// How far the command is.
    Progress {
        /// How much is done.
        done: u64,
        /// Of how much.
        total: u64,
    },
    /// It is carried out. Nothing follows.
    Done,
    /// It is not, or what it found is not in order. Nothing follows.
    Failed(Failure),
}

/// Why a command was not carried out.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Failure {
    /// What kind of failure.
    pub(crate) kind: FailureKind,
    /// What, where, and how to mend it.
    pub(crate) message: String,
}

/// What a failure means for whoever asked.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    /// What was asked for cannot be meant.
    Usage,
    /// Something in the buffer is damaged.
    Data,
    /// What was named is not there.
    NotFound,
    /// The disk refuses.
    Disk,
    /// Not at present.
    TryAgain,
}

/// Every reply but a record, as JSON.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Progress { done: u64, total: u64 },
    Done {},
    Failed(Failure),
}

impl Failure {
    /// A failure.
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl Reply {
    /// Adds the line of this reply to `lines`.
    pub(crate) fn write_line(self, lines: &mut Vec<u8>) {
        let line = match self {
            // A record may be an event out of millions: it is neither parsed nor written anew.
            Self::Record(json) => {
                lines.extend_from_slice(RECORD.as_bytes());
                lines.extend_from_slice(json.as_bytes());
                lines.extend_from_slice(b"}\n");
                return;
            }
            Self::Progress { done, total } => Line::Progress { done, total },
            Self::Done => Line::Done {},
            Self::Failed(failure) => Line::Failed(failure),
        };
        serde_json::to_writer(&mut *lines, &line).expect("plain data, and a Vec takes every byte");
        lines.push(b'\n');
    }

    /// The reply of a line, without its end.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(line: &str) -> Result<Self, serde_json::Error> {
        if let Some(json) = line.strip_prefix(RECORD).and_then(|rest| rest.strip_suffix('}')) {
            return Ok(Self::Record(json.to_owned()));
        }
        Ok(match serde_json::from_str(line)? {
            Line::Progress { done, total } => Self::Progress { done, total },
            Line::Done {} => Self::Done,
            Line::Failed(failure) => Self::Failed(failure),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_is_a_line_of_json_and_survives_it() {
        let replies = [
            Reply::Record(r#"{"id":"}","data":{"value":"\n"}}"#.to_owned()),
            Reply::Progress { done: 3, total: 1 << 60 },
            Reply::Done,
            Reply::Failed(Failure::new(FailureKind::NotFound, "there is no \"such\" thing\n")),
        ];
        for reply in replies {
            let mut line = Vec::new();
            reply.clone().write_line(&mut line);
            let text = String::from_utf8(line).expect("JSON is UTF-8");
            let text = text.strip_suffix('\n').expect("a line ends");
            assert!(!text.contains('\n'));
            serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
            assert_eq!(Reply::parse(text).expect("its own line"), reply);
        }
    }

    #[test]
    fn what_is_cut_off_is_no_reply() {
        for line in ["", "{", r#"{"record":{"id":1}"#, r#"{"done""#, r#"{"other":{}}"#] {
            let parsed = Reply::parse(line);
            // A record that lost its last brace loses it from the end of its JSON, where the reader notices.
            assert!(
                parsed.is_err() || matches!(&parsed, Ok(Reply::Record(json)) if json == r#"{"id":1"#),
                "{line}"
            );
        }
    }
}
