//! Databases that hold grants, as wholes.

use types::Micros;

/// The lives of both databases in which a holder has attached. Epochs only rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The epoch of the holder's own database.
    pub epoch: i64,
    /// Our epoch, for which the holder has revoked whatever it held of earlier ones.
    pub attached_epoch: i64,
}

/// A database that holds grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The id that it gave itself.
    pub id: String,
    /// The epochs in which it has attached.
    pub attachment: Attachment,
    /// When it last attached.
    pub attach_time: Micros,
    /// When it was forgotten, if it was.
    pub forget_time: Option<Micros>,
    /// How many contacts it holds a grant on.
    pub grant_count: i64,
    /// How many moves wait for its acknowledgement.
    pub recall_count: i64,
    /// How many activations wait for its acknowledgement.
    pub fence_count: i64,
}
