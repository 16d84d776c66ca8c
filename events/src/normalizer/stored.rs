//! What the normalizer keeps on disk: which piece of state has which key, and its encoding.
//!
//! | key | value |
//! |---|---|
//! | `source\|SOURCE` | since when the source is down |
//! | `state\|ASSET\|TAG` | the machine's state and since when |
//! | `counter\|ASSET\|TAG\|OUTPUT` | the run of the counter and where it stands |
//! | `alert\|TAG\|SLOT` | a condition that is active and since when, or none; slots count from 0 without holes |
//!
//! No name can hold a `|`. Keys are made of names, never of indexes, so they outlive a change of
//! configuration. A value is postcard of [`Stored`].

use serde::{Deserialize, Serialize};

use super::alerts::StoredAlert;
use super::counter::Run;
use super::state::StoredState;
use crate::event::Output;
use crate::name::{AssetPath, SourceName, TagPath};

/// A piece of the normalizer's state that changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// Whose state: stable over restarts and changes of configuration.
    pub key: String,
    /// The state, in a versioned encoding of the normalizer's own.
    pub value: Vec<u8>,
}

/// The stored state cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the stored state of {key:?} cannot be read; it was written by a newer version of penstock or is damaged"
)]
pub struct RestoreError {
    /// Whose state.
    pub key: String,
}

/// The stored form of the state. Only ever append variants: the position is the version.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Stored {
    StateV1(StoredState),
    CounterV1(Run),
    SourceV1 { down_since_us: Option<i64> },
    AlertV1(Option<StoredAlert>),
}

impl Stored {
    /// The change that brings `key` to this value.
    pub(super) fn change(&self, key: &str) -> StateChange {
        let value = postcard::to_stdvec(self).expect("plain numbers and texts can be encoded");
        StateChange { key: key.to_owned(), value }
    }
}

/// What `state` holds for `key`, if anything; `kind` takes the variants that the key may have.
pub(super) fn find<'a, T>(
    state: &impl Fn(&str) -> Option<&'a [u8]>,
    key: &str,
    kind: impl FnOnce(Stored) -> Option<T>,
) -> Result<Option<T>, RestoreError> {
    let Some(bytes) = state(key) else { return Ok(None) };
    match postcard::from_bytes(bytes).map(kind) {
        Ok(Some(found)) => Ok(Some(found)),
        Ok(None) | Err(_) => Err(RestoreError { key: key.to_owned() }),
    }
}

pub(super) fn source_key(source: &SourceName) -> String {
    format!("source|{source}")
}

pub(super) fn state_key(asset: &AssetPath, tag: &TagPath) -> String {
    format!("state|{asset}|{tag}")
}

pub(super) fn counter_key(asset: &AssetPath, tag: &TagPath, output: Output) -> String {
    format!("counter|{asset}|{tag}|{}", output.as_str())
}

pub(super) fn alert_key(tag: &TagPath, slot: usize) -> String {
    format!("alert|{tag}|{slot}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every later version must read: the bytes of each variant, written once.
    fn golden() -> [(Stored, &'static [u8]); 6] {
        let running = StoredState { state: "running".to_owned(), since_us: 1_000_000 };
        let run = Run { epoch_us: -3, value: 300 };
        let alert = StoredAlert {
            condition: "ns=2;s=Hot".to_owned(),
            asset: "oven".to_owned(),
            since_us: 64,
            is_exact: true,
            name: Some("Hot".to_owned()),
            source_name: None,
            severity: 700,
        };
        [
            (Stored::StateV1(running), b"\x00\x07running\x80\x89\x7a"),
            (Stored::CounterV1(run), b"\x01\x05\xac\x02"),
            (Stored::SourceV1 { down_since_us: None }, b"\x02\x00"),
            (Stored::SourceV1 { down_since_us: Some(64) }, b"\x02\x01\x80\x01"),
            (Stored::AlertV1(None), b"\x03\x00"),
            (
                Stored::AlertV1(Some(alert)),
                b"\x03\x01\x0ans=2;s=Hot\x04oven\x80\x01\x01\x01\x03Hot\x00\xbc\x05",
            ),
        ]
    }

    #[test]
    fn the_encoding_of_version_1_stays_as_it_is() {
        for (stored, bytes) in golden() {
            assert_eq!(stored.change("key").value, bytes, "{stored:?}");
            let state = |key: &str| (key == "key").then_some(bytes);
            assert_eq!(find(&state, "key", Some).expect("golden bytes"), Some(stored));
        }
    }

    #[test]
    fn cut_bytes_are_an_error_that_names_the_key() {
        for (stored, bytes) in golden() {
            for length in 0..bytes.len() {
                let error = find(&|_| Some(&bytes[..length]), "whose", Some).expect_err("cut short");
                assert_eq!(error.key, "whose", "{stored:?} cut to {length}");
            }
        }
    }
}
