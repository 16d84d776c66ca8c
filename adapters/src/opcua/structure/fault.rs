//! Why a tag has no value although the server sent one.

use std::fmt;
use std::sync::Arc;

use opcua::types::{NodeId, StatusCode};
use penstock_events::Cause;

use super::super::decode;

/// More names than this help nobody who looks for one.
const MOST_NAMES: usize = 20;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Fault {
    /// It is none by itself: null, not a number, bad in the server's own judgement.
    Plain(Cause),
    /// A field is asked for of what has none.
    NotAStructure,
    /// It is a structure, and no field of it is asked for.
    WholeStructure,
    /// It is an array, and no element of it is asked for.
    WholeArray,
    /// An element is asked for that is not there.
    NoElement,
    /// A field is asked for that is not there.
    NoField(Box<NoField>),
    /// The type of a structure is not known so far, by the id of its encoding.
    Unlearned(NodeId),
    /// The server does not tell a type that is needed to read the structure.
    Untold(Arc<str>),
    /// It is not encoded in binary.
    NotBinary,
    /// Its bytes are not what its type says.
    Misfit,
    /// It has more parts, or parts in parts, than a gateway should hold.
    TooLarge,
}

/// A field that a structure does not have.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct NoField {
    pub(super) structure: String,
    pub(super) field: String,
    /// The fields that it has.
    pub(super) has: Vec<String>,
}

impl Fault {
    /// The cause that the tag's quality shows.
    pub(in super::super) fn cause(&self) -> Cause {
        decode::cause(match self {
            Self::Plain(cause) => return *cause,
            Self::NotAStructure | Self::WholeStructure | Self::WholeArray => StatusCode::BadTypeMismatch,
            Self::NoElement => StatusCode::BadIndexRangeNoData,
            Self::NoField(_) => StatusCode::BadNotFound,
            Self::Unlearned(_) | Self::Untold(_) => StatusCode::BadDataTypeIdUnknown,
            Self::NotBinary => StatusCode::BadDataEncodingUnsupported,
            Self::Misfit => StatusCode::BadDecodingError,
            Self::TooLarge => StatusCode::BadEncodingLimitsExceeded,
        })
    }

    /// Whether the operator must mend something, so that it is worth a word beyond the quality.
    pub(in super::super) const fn is_lasting(&self) -> bool {
        !matches!(self, Self::Plain(_) | Self::NoElement)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(cause) => write!(f, "{cause}"),
            Self::NotAStructure => f.write_str("the value is no structure, but the tag has a field"),
            Self::WholeStructure => f.write_str("the value is a structure: say which field"),
            Self::WholeArray => f.write_str("the value is an array: say which element"),
            Self::NoElement => f.write_str("the array has no such element"),
            Self::NoField(no) => write!(f, "{no}"),
            Self::Unlearned(encoding) => write!(f, "the type with the encoding {encoding} is not known"),
            Self::Untold(what) => f.write_str(what),
            Self::NotBinary => f.write_str("the value is encoded as XML or JSON; only binary can be read"),
            Self::Misfit => {
                f.write_str("the value does not fit the definition that the server has of its type")
            }
            Self::TooLarge => f.write_str("the value has too many parts"),
        }
    }
}

impl fmt::Display for NoField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { structure, field, has } = self;
        write!(
            f,
            "{structure} has no field {field:?}; it has {}",
            has[..has.len().min(MOST_NAMES)].join(", ")
        )?;
        match has.len().saturating_sub(MOST_NAMES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
