//! Deleting what is delivered before its time.

use penstock_buffer::Purge;

use super::record::WhatIf;
use super::{Desk, Replies, Stop};

impl Desk {
    pub(super) fn purge(&self, purge: &Purge, dry_run: bool, replies: &mut Replies<'_>) -> Result<(), Stop> {
        let generations = if dry_run { self.buffer.purgeable(purge) } else { self.buffer.purge(purge)? };
        generations.into_iter().try_for_each(|what| replies.record(&WhatIf { dry_run, what }))
    }
}
