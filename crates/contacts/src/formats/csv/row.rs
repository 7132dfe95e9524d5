//! The cells of a row as a record.

use super::analysis::Column;
use super::draft::Draft;
use super::export::unguarded;
use crate::domain::emails::EmailRefusal;
use crate::formats::record::ContactRecord;

/// Why a row is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowRefusal {
    /// A cell of an e-mail column is no e-mail address.
    #[error("the e-mail address {0}")]
    EmailInvalid(EmailRefusal),
    /// No name, organisation, e-mail address or phone number.
    #[error("the row says nothing of who it is")]
    Unidentified,
    /// More cells than columns: most often a separator that should be quoted.
    #[error("the row has more cells than the file has columns")]
    TooManyCells,
    /// The kind is not person, company or group.
    #[error("the kind is not person, company or group")]
    KindUnknown,
    /// A relationship kind that there is none of.
    #[error("the relationship kind is unknown")]
    RelationshipKindUnknown,
    /// The bytes are not text in the encoding of the file.
    #[error("the cell is not text in the encoding of the file")]
    EncodingInvalid,
    /// The row is longer than 1 MiB or has more than 2,048 cells; the rest of the file is not read.
    #[error("the row is too long: is a quotation mark left open?")]
    TooLong,
    /// The file ends inside quotation marks.
    #[error("a quotation mark is left open")]
    QuoteOpen,
    /// The last column of our own export was changed so that it can't be read.
    #[error("what our export added can't be read")]
    AdditionInvalid,
}

/// A refusal with the column to blame, if there is one.
pub type Refused = (Option<usize>, RowRefusal);

/// The record of a row; None where all its cells are blank. In our own layout (`own`) cells are
/// taken exactly as they are, in others without the space around them.
pub fn record(
    columns: &[Column],
    cells: &[String],
    own: bool,
) -> Result<Option<ContactRecord>, Refused> {
    let mut draft = Draft::new(own);
    let mut blank = true;
    for (index, cell) in cells.iter().enumerate() {
        let cell = if own { unguarded(cell) } else { cell.trim() };
        if cell.is_empty() {
            continue;
        }
        blank = false;
        let Some(column) = columns.get(index) else {
            return Err((Some(index), RowRefusal::TooManyCells));
        };
        if let Some(target) = &column.target {
            draft
                .take(target, cell)
                .map_err(|reason| (Some(index), reason))?;
        }
    }
    if blank {
        Ok(None)
    } else {
        draft.finish().map(Some).map_err(|reason| (None, reason))
    }
}
