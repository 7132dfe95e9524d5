//! Which column of an import's CSV file is what: as found, and as the import says.

use crate::domain::imports::{Format, Import};
use crate::error::Error;
use crate::formats::csv::{Analysis, Analyzer, Mapping, MappingProblem};

/// How many bytes from the beginning of a file are looked at before it is run.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Refuses a mapping that can't be meant, before there is a file.
pub fn check_mapping(import: &Import) -> Result<(), Error> {
    if import.format != Format::Csv && !import.mapping.is_empty() {
        let problem = "must be empty: only CSV files have columns";
        return Err(Error::field("import.mapping", "import.mapping", problem));
    }
    mapping_of(import)
        .map(|_| ())
        .map_err(|problem| Error::field("import.mapping", "import.mapping", problem.to_string()))
}

/// Refuses a file whose beginning shows that it can't be read as it is asked for. `is_whole` says
/// that the file has no more.
pub fn check_head(import: &Import, head: &[u8], is_whole: bool) -> Result<(), Error> {
    if import.format != Format::Csv {
        return Ok(());
    }
    let mut analyzer = Analyzer::new();
    analyzer.feed(head);
    let found = if is_whole {
        analyzer.finish()
    } else {
        analyzer.so_far()
    };
    let columns = found.first_rows.first().map(|row| row.join(", "));
    applied(import, found)
        .map(|_| ())
        .map_err(|problem| match problem {
            MappingProblem::Required | MappingProblem::NobodyIdentified => Error::ImportMapping {
                columns: columns.unwrap_or_default(),
                problem: problem.to_string(),
            },
            MappingProblem::ColumnUnknown(_)
            | MappingProblem::TargetUnknown(_)
            | MappingProblem::Empty => {
                Error::field("import.mapping", "import.mapping", problem.to_string())
            }
        })
}

/// What a CSV file was found to be, with the import's mapping laid over it.
pub fn applied(import: &Import, mut found: Analysis) -> Result<Analysis, MappingProblem> {
    if import.no_header {
        if import.mapping.is_empty() {
            return Err(MappingProblem::Required);
        }
        found.header_row = None;
        found.program = None;
        for column in &mut found.columns {
            column.target = None;
        }
    }
    let found = match mapping_of(import)? {
        Some(mapping) => found.with_mapping(&mapping)?,
        None => found,
    };
    match found.problem() {
        Some(problem) => Err(problem),
        None => Ok(found),
    }
}

/// The import's mapping. Without a header row columns are given by number: `1` is the first.
fn mapping_of(import: &Import) -> Result<Option<Mapping>, MappingProblem> {
    if import.mapping.is_empty() {
        return Ok(None);
    }
    let pairs: Vec<(String, String)> = import
        .mapping
        .iter()
        .map(|(column, target)| {
            let is_number = column.bytes().all(|b| b.is_ascii_digit());
            let column = if import.no_header && is_number {
                format!("#{column}")
            } else {
                column.clone()
            };
            (column, target_of(target))
        })
        .collect();
    let mapping = Mapping::from_pairs(pairs.iter().map(|(column, target)| (&**column, &**target)))?;
    match mapping {
        Mapping::Headers(headers) if import.no_header => {
            let column = headers.into_keys().next().unwrap_or_default();
            Err(MappingProblem::ColumnUnknown(column))
        }
        mapping => Ok(Some(mapping)),
    }
}

/// A target in the words of the formats, from a path of Contact or those words themselves.
fn target_of(path: &str) -> String {
    match path.split_once('.') {
        Some(("labels", key)) => format!("label:{key}"),
        Some(("external_ids", system)) => format!("external_id:{system}"),
        Some(("attributes", key)) => format!("attribute:{key}"),
        _ => match path {
            "emails" => "email".to_owned(),
            "phones" => "phone".to_owned(),
            "urls" => "url".to_owned(),
            _ => path.to_owned(),
        },
    }
}
