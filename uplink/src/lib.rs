//! Uplinks: they carry events to the enterprise.
//!
//! An uplink makes one attempt for each event and says how it ended, as one [`Outcome`]. It does not
//! retry, reorder or remember events: the forwarder does, from the buffer. It does keep its own
//! connection up.

pub mod mqtt;

/// How one attempt to deliver one event ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The receiver has taken responsibility for it.
    Delivered,
    /// The receiver will never take this event, however often it is sent.
    Refused {
        /// Why, in words, with the protocol's own code where there is one.
        reason: String,
        /// The receiver's own code, where it gave one: a reason code of MQTT 5, a status of HTTP.
        code: Option<u16>,
    },
    /// The receiver did not take this event, and does not say whether it ever will. Sending it a few more
    /// times can help.
    Unclear {
        /// Why, in words, with the protocol's own code where there is one.
        reason: String,
        /// The receiver's own code, where it gave one.
        code: Option<u16>,
    },
    /// It may or may not have arrived. Sending it again can help.
    Failed {
        /// Why, in words, with the protocol's own code where there is one.
        reason: String,
    },
}
