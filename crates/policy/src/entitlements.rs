//! The entitlement keys that Clientele itself knows. Workspaces add their own; a key that a stage
//! does not list is denied, known or not.

/// Logging in to the portal.
pub const PORTAL_LOGIN: &str = "portal_login";
/// Receiving private sales and promotional material.
pub const PROMO_MATERIAL: &str = "promo_material";
/// Exchanging private messages.
pub const PRIVATE_MESSAGE: &str = "private_message";
/// Receiving estimates.
pub const ESTIMATE: &str = "estimate";
/// Receiving proposals.
pub const PROPOSAL: &str = "proposal";
/// Receiving invoices; only ever where the role is CLIENT.
pub const INVOICE: &str = "invoice";
/// Being assigned to projects; only ever where the role is CLIENT.
pub const PROJECT: &str = "project";

/// The seven, in the order of the funnel.
pub const STANDARD: [&str; 7] = [
    PORTAL_LOGIN,
    PROMO_MATERIAL,
    PRIVATE_MESSAGE,
    ESTIMATE,
    PROPOSAL,
    INVOICE,
    PROJECT,
];

/// Those that no stage but one of role CLIENT may grant: the hard rule of the suite.
pub const CLIENT_ONLY: [&str; 2] = [INVOICE, PROJECT];

/// Whether `key` may name an entitlement: `^[a-z][a-z0-9_]{0,62}$`.
#[must_use]
pub fn is_key(key: &str) -> bool {
    (1..=63).contains(&key.len())
        && key.as_bytes()[0].is_ascii_lowercase()
        && key
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}
