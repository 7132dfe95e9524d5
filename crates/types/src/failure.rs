//! What keeps a service from its own data, between the database that says it and the wire that shows
//! it.

/// Why an operation on a service's database was not done, as far as a caller can do anything about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Others changed the same data at the same time; nothing was done.
    Contention,
    /// The deadline passed.
    DeadlineExceeded,
    /// Too many writes wait; nothing was done.
    Overloaded,
    /// The database can't be reached; nothing was done.
    Unavailable,
    /// The database vanished while it committed: it was done or not.
    CommitUnknown,
    /// The request id was used before for another request.
    RequestIdReused,
    /// A request with the same id is being executed right now.
    RequestInProgress,
    /// The page token is not one of this list with these arguments.
    PageTokenMismatch,
    /// The page size is negative.
    PageSizeNegative,
    /// A fault of ours.
    Fault,
}

impl Failure {
    /// Whether it is for operators to look after, and so belongs in the log.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Unavailable | Self::CommitUnknown | Self::Fault)
    }
}
