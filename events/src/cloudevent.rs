//! An event as CloudEvents 1.0 JSON (CloudEvents JSON Format 1.0.2, section 3).

use crate::name::{GatewayId, Site};

/// Whose events these are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The gateway that observed them.
    pub gateway: GatewayId,
    /// The site that the assets belong to.
    pub site: Site,
}
