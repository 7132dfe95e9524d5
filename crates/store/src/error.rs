//! What can go wrong in a database operation, in words that no engine's driver wrote.
//!
//! Invariant: `Display` never shows a driver's text; it is kept for the log, see
//! [`Error::driver_text`].

use std::fmt;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

use crate::change_log::LogPosition;
use crate::failure::Failure;

/// Why a database operation did not do what was asked.
///
/// [`Error::failure`] says what of it callers are told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Other writers got in the way each time the operation was tried; nothing was done.
    #[error("other writers got in the way, nothing was done")]
    Contention,
    /// The deadline passed before the operation began, or the server cut it short; nothing was done.
    #[error("the deadline passed before the database was done")]
    DeadlineExceeded,
    /// A row stayed locked by someone else for longer than the lock timeout, each time the operation
    /// was tried; nothing was done.
    #[error("a row stayed locked by someone else")]
    LockTimeout,
    /// The queue of writes is full; nothing was done.
    #[error("too many writes are waiting")]
    Overloaded,
    /// The database cannot be reached, is read-only or out of space; nothing was done.
    #[error("the database is not available")]
    Unavailable(Driver),
    /// The database vanished during the commit: the write may have happened or not. The request id
    /// tells: look it up, then answer or run again.
    #[error("the database vanished during the commit")]
    CommitUnknown(Driver),
    /// A row with the same key exists.
    ///
    /// `constraint` is PostgreSQL's name of it; SQLite, which reports columns, is given the name that
    /// PostgreSQL would have chosen, `{table}_{column}_{column}_key`. Of a row that breaks several, the
    /// engines may name different ones.
    #[error("a row with the same key exists")]
    UniqueViolation {
        /// The table, when the engine tells.
        table: String,
        /// The constraint, or the unique index.
        constraint: String,
    },
    /// A row refers to one that does not exist, or is still referred to.
    #[error("a row refers to one that does not exist")]
    ForeignKeyViolation,
    /// A stored row does not make sense to the domain.
    #[error("a stored row of {table} is corrupt")]
    Corrupt {
        /// The table it lies in.
        table: &'static str,
        /// Its key: an id or a resource name, never personal data.
        id: String,
    },
    /// The request id was used before for a request with another content.
    #[error("the request id was used for another request")]
    RequestIdReused,
    /// A request with the same id is being executed right now.
    #[error("a request with the same id is being executed")]
    RequestInProgress,
    /// The page token was not made by this suite.
    #[error("the page token is malformed")]
    PageTokenInvalid,
    /// The page token belongs to a list with other arguments.
    #[error("the page token belongs to another list")]
    PageTokenMismatch,
    /// The page size is negative.
    #[error("the page size is negative")]
    PageSizeNegative,
    /// Changes after this position are gone, or belong to a life of the database that was lost.
    #[error("the position lies before the oldest change that is kept")]
    PositionExpired {
        /// The position from which everything can still be read.
        oldest: LogPosition,
    },
    /// The lease went to another holder.
    #[error("the lease {name} is no longer held")]
    LeaseLost {
        /// Its name.
        name: String,
    },
    /// The operation panicked; it was rolled back.
    #[error("the operation {op} panicked")]
    Panicked {
        /// The operation's label.
        op: &'static str,
    },
    /// Anything else that the engine refused: a defect of ours, not of the caller.
    #[error("the database refused the operation")]
    Database(Driver),
}

/// What a driver said, for the log only: it is shown by `Debug` and [`Error::driver_text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver(pub(crate) String);

impl Driver {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl Error {
    /// What the driver said, for the log.
    pub fn driver_text(&self) -> Option<&str> {
        match self {
            Self::Unavailable(driver) | Self::CommitUnknown(driver) | Self::Database(driver) => {
                Some(&driver.0)
            }
            _ => None,
        }
    }

    /// What it means to whoever called.
    pub fn failure(&self) -> types::Failure {
        use types::Failure;
        match self {
            Self::Contention | Self::LockTimeout => Failure::Contention,
            Self::DeadlineExceeded => Failure::DeadlineExceeded,
            Self::Overloaded => Failure::Overloaded,
            Self::Unavailable(_) => Failure::Unavailable,
            Self::CommitUnknown(_) => Failure::CommitUnknown,
            Self::RequestIdReused => Failure::RequestIdReused,
            Self::RequestInProgress => Failure::RequestInProgress,
            Self::PageTokenInvalid | Self::PageTokenMismatch => Failure::PageTokenMismatch,
            Self::PageSizeNegative => Failure::PageSizeNegative,
            // A service that has streams tells its callers where to begin anew.
            Self::PositionExpired { .. }
            | Self::UniqueViolation { .. }
            | Self::ForeignKeyViolation
            | Self::Corrupt { .. }
            | Self::LeaseLost { .. }
            | Self::Panicked { .. }
            | Self::Database(_) => Failure::Fault,
        }
    }

    /// Whether anybody's operation would have failed like this at that moment. What several did together
    /// has then failed for each of them; anything else may be the fault of one.
    pub fn is_everybodys(&self) -> bool {
        match self {
            Self::Contention
            | Self::DeadlineExceeded
            | Self::Overloaded
            | Self::Unavailable(_)
            | Self::CommitUnknown(_) => true,
            Self::LockTimeout
            | Self::UniqueViolation { .. }
            | Self::ForeignKeyViolation
            | Self::Corrupt { .. }
            | Self::RequestIdReused
            | Self::RequestInProgress
            | Self::PageTokenInvalid
            | Self::PageTokenMismatch
            | Self::PageSizeNegative
            | Self::PositionExpired { .. }
            | Self::LeaseLost { .. }
            | Self::Panicked { .. }
            | Self::Database(_) => false,
        }
    }

    pub(crate) fn database(text: impl fmt::Display) -> Self {
        Self::Database(Driver::new(text))
    }

    pub(crate) fn unavailable(text: impl fmt::Display) -> Self {
        Self::Unavailable(Driver::new(text))
    }
}

impl From<DieselError> for Error {
    fn from(error: DieselError) -> Self {
        match Failure::of(&error) {
            Failure::Transient => Self::Contention,
            Failure::LockTimeout => Self::LockTimeout,
            Failure::Cancelled => Self::DeadlineExceeded,
            Failure::Closed | Failure::Lost | Failure::ReadOnly => Self::unavailable(error),
            Failure::StalePlan | Failure::Other => match error {
                DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, info) => {
                    unique_violation(&*info)
                }
                DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
                    Self::ForeignKeyViolation
                }
                other => Self::database(other),
            },
        }
    }
}

fn unique_violation(info: &(dyn DatabaseErrorInformation + Send + Sync)) -> Error {
    if let Some(constraint) = info.constraint_name() {
        return Error::UniqueViolation {
            table: info.table_name().unwrap_or_default().to_owned(),
            constraint: constraint.to_owned(),
        };
    }
    // SQLite says "UNIQUE constraint failed: contacts.workspace, contacts.id", or for an index
    // over expressions "UNIQUE constraint failed: index 'contacts_email'".
    let text = info.message();
    let subject = text.rsplit_once("failed: ").map_or(text, |(_, rest)| rest);
    if let Some(index) = subject.strip_prefix("index '") {
        return Error::UniqueViolation {
            table: String::new(),
            constraint: index.trim_end_matches('\'').to_owned(),
        };
    }
    let pairs: Vec<(&str, &str)> = subject
        .split(", ")
        .filter_map(|column| column.split_once('.'))
        .collect();
    let table = pairs.first().map_or("", |(table, _)| table);
    let columns: Vec<&str> = pairs.iter().map(|(_, column)| *column).collect();
    Error::UniqueViolation {
        table: table.to_owned(),
        constraint: key_name(table, &columns),
    }
}

fn key_name(table: &str, columns: &[&str]) -> String {
    format!("{table}_{}_key", columns.join("_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unique(text: &str) -> Error {
        DieselError::DatabaseError(
            DatabaseErrorKind::UniqueViolation,
            Box::new(text.to_owned()),
        )
        .into()
    }

    #[test]
    fn sqlite_columns_become_the_name_postgresql_gives() {
        let error = unique("UNIQUE constraint failed: notes.workspace, notes.id");
        let expected = Error::UniqueViolation {
            table: "notes".into(),
            constraint: "notes_workspace_id_key".into(),
        };
        assert_eq!(error, expected);
    }

    #[test]
    fn sqlite_names_an_index_over_expressions() {
        let error = unique("UNIQUE constraint failed: index 'notes_title'");
        assert_eq!(
            error,
            Error::UniqueViolation {
                table: String::new(),
                constraint: "notes_title".into()
            }
        );
    }

    #[test]
    fn display_does_not_show_what_the_driver_said() {
        let error = Error::from(DieselError::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new("near \"SELEC\": syntax error".to_owned()),
        ));
        assert!(!error.to_string().contains("SELEC"));
        assert!(
            error
                .driver_text()
                .is_some_and(|text| text.contains("SELEC"))
        );
    }
}
