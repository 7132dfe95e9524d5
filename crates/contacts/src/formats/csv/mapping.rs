//! What a caller says of the columns of a file.

use std::collections::BTreeMap;

use super::target::{Target, TargetUnknown};

/// An explicit mapping of columns. None as a target means that the column is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapping {
    /// By header: the columns named here are as said, the others as proposed.
    Headers(BTreeMap<String, Option<Target>>),
    /// By position, for a file without a header row; with one, it replaces the whole proposal.
    Positions(Vec<Option<Target>>),
}

/// What a target is written as that leaves the column out.
const UNUSED: &str = "ignore";

impl Mapping {
    /// A mapping from pairs of column and target, both as text. Columns named `#1`, `#2`, ... are
    /// positions, and then all of them must be.
    ///
    /// # Errors
    /// A target that there is none of ([`Target`] lists them, and `ignore`), or a mix of headers and
    /// positions.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, MappingProblem> {
        let mut headers = BTreeMap::new();
        let mut positions = Vec::new();
        for (column, target) in pairs {
            let target = if target == UNUSED {
                None
            } else {
                Some(target.parse()?)
            };
            let position = column
                .strip_prefix('#')
                .and_then(|number| number.parse().ok());
            match position {
                Some(1..=super::records::COLUMNS_MAX) if headers.is_empty() => {
                    let index = position.unwrap_or(1) - 1;
                    if positions.len() <= index {
                        positions.resize(index + 1, None);
                    }
                    positions[index] = target;
                }
                _ if positions.is_empty() => {
                    headers.insert(column.to_owned(), target);
                }
                _ => return Err(MappingProblem::ColumnUnknown(column.to_owned())),
            }
        }
        Ok(if positions.is_empty() {
            Self::Headers(headers)
        } else {
            Self::Positions(positions)
        })
    }
}

/// Why a file cannot be read with a mapping, or without one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingProblem {
    /// There is no header row that is understood: what the columns are must be said.
    #[error("the file has no header row that is understood: a mapping of its columns is required")]
    Required,
    /// The file has no such column.
    #[error("the file has no column {0:?}")]
    ColumnUnknown(String),
    /// No column tells who a contact is.
    #[error("no column is mapped to a name, an organisation, an e-mail address or a phone number")]
    NobodyIdentified,
    /// The file has no rows.
    #[error("the file is empty")]
    Empty,
    /// A target that there is none of.
    #[error(transparent)]
    TargetUnknown(#[from] TargetUnknown),
}
