//! Comparing the server's clock with the gateway's: the times of values are the server's.

use std::time::Duration;

use opcua::types::{VariableId, Variant};
use tokio::time::Instant;

use super::Visit;
use crate::opcua::decode;
use crate::opcua::skew::ClockSkew;

/// A clock that runs free drifts by seconds a day, and one that is set by hand is news.
const EVERY: Duration = Duration::from_secs(600);

impl Visit<'_> {
    /// Compares the clocks: at the beginning, when the session goes on after an outage, and now and then.
    pub(super) async fn compare_clocks_if_due(&mut self) {
        if self.next_comparison.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.next_comparison = Some(Instant::now() + EVERY);
        let asked = self.account.clock.now();
        let told = self.values(&[VariableId::Server_ServerStatus_CurrentTime.into()]).await;
        let answered = self.account.clock.now();
        // Without an answer what was known stands.
        let Ok(told) = told else { return };
        let told = match told.first() {
            Some(Some(Variant::DateTime(time))) => decode::timestamp(**time),
            _ => None,
        };
        let skew = told.and_then(|told| ClockSkew::between(asked, told, answered));
        self.account.ledger.clocks_compared(skew);
    }
}
