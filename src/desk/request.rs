//! What can be asked of the desk. As JSON it is the body of a request to the control socket.

use penstock_buffer::{DeadLetterFilter, DeadLetterId, Purge, ReplayOrder, Selection};
use penstock_events::{DestinationName, Lane};
use serde::{Deserialize, Serialize};

/// One command.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// What is in the buffer, who needs it, and what is done with it.
    Status,
    /// Reads everything and tells what is wrong.
    Verify {
        /// Only this lane.
        lane: Option<Lane>,
    },
    /// A few events of each lane: the next of a destination, or the newest.
    Peek {
        /// Whose next.
        destination: Option<DestinationName>,
        /// Which events.
        selection: Selection,
        /// How many of each lane.
        limit: usize,
    },
    /// All events of a selection, lane by lane, as they travel.
    Export {
        /// Which events.
        selection: Selection,
        /// How many at most.
        limit: Option<u64>,
    },
    /// Deletes what is delivered before its time.
    Purge {
        /// What.
        purge: Purge,
        /// Only tell what would go.
        dry_run: bool,
    },
    /// Orders a replay.
    Replay {
        /// What is to be delivered again.
        order: ReplayOrder,
    },
    /// Counts what a replay would deliver.
    PlanReplay {
        /// What would be delivered again.
        order: ReplayOrder,
    },
    /// Stops a replay.
    CancelReplay {
        /// Which.
        id: u32,
    },
    /// Dead letters, in the order of their ids.
    ListDead {
        /// Which.
        filter: DeadLetterFilter,
        /// How many at most.
        limit: Option<u64>,
    },
    /// One dead letter.
    ShowDead {
        /// Which.
        id: DeadLetterId,
    },
    /// Asks for another attempt.
    RetryDead {
        /// Which.
        letters: Letters,
    },
    /// Gives letters up for good.
    DiscardDead {
        /// Which.
        letters: Letters,
        /// Only count them.
        dry_run: bool,
    },
    /// The events of dead letters, as they would have travelled.
    ExportDead {
        /// Which.
        filter: DeadLetterFilter,
    },
}

/// Some dead letters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Letters {
    /// By name. Each must be there.
    These(Vec<DeadLetterId>),
    /// All that a filter takes.
    Matching(DeadLetterFilter),
}
