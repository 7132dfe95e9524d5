//! What a file is: encoding, separator, header row, program, and what each column seems to be.

use std::collections::{BTreeMap, BTreeSet};

use super::header_row::{Header, SEPARATORS, declared_separator, find_header, steady_width};
use super::headers;
use super::mapping::{Mapping, MappingProblem};
use super::programs::Program;
use super::records::first_rows;
use super::target::Target;
use crate::formats::encoding::{Detector, Encoding, Narrower};

/// The bytes from the beginning of a file that separator and header row are judged by.
const HEAD_LEN: usize = 64 << 10;

/// The rows that may stand before the header row: titles, dates, remarks.
const ROWS_BEFORE_HEADER_MAX: usize = 10;

/// Finds out what a file is while its bytes pass by.
///
/// Show it the whole file: text that is not UTF-8 may come late. It keeps the beginning only.
#[derive(Default)]
pub struct Analyzer {
    detector: Detector,
    head: Vec<u8>,
    len: u64,
}

/// What a CSV file is and how its columns are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analysis {
    /// The encoding.
    pub encoding: Encoding,
    /// The character between cells: comma, semicolon, tab or bar.
    pub separator: char,
    /// The program that wrote the file, where it is known.
    pub program: Option<Program>,
    /// The row with the headers, from 1; None where there is none that is understood.
    pub header_row: Option<u64>,
    /// The columns in order, with what their cells are taken for.
    pub columns: Vec<Column>,
    /// The first rows of the file, at most ten, as they are.
    pub first_rows: Vec<Vec<String>>,
    /// Whether a mapping says what the columns are.
    mapped: bool,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its header; `#1`, `#2`, ... where there is none.
    pub name: String,
    /// What its cells are; None where they are not used.
    pub target: Option<Target>,
}

impl Analyzer {
    /// An analyzer at the beginning of a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.detector.feed(chunk);
        let missing = HEAD_LEN.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        self.len += chunk.len() as u64;
    }

    /// What the file is, judged by all its bytes.
    pub fn finish(&self) -> Analysis {
        let whole = self.len == self.head.len() as u64;
        self.judge(self.detector.finish(), whole)
    }

    /// What the file seems to be by its beginning: more bytes are still to come, so that neither a
    /// row nor a character that is not complete tells anything.
    pub fn so_far(&self) -> Analysis {
        self.judge(self.detector.so_far(), false)
    }

    fn judge(&self, encoding: Encoding, whole: bool) -> Analysis {
        let mut head = Vec::new();
        Narrower::new(encoding).push(&self.head, whole, &mut head);
        let declared = declared_separator(&head);
        let tried = SEPARATORS
            .iter()
            .filter(|one| declared.is_none_or(|d| d == **one))
            .map(|one| {
                let text = |cell: Vec<u8>| {
                    let lossy = || String::from_utf8_lossy(&cell).into_owned();
                    encoding.text(&cell).unwrap_or_else(lossy)
                };
                let rows = first_rows(&head, *one, ROWS_BEFORE_HEADER_MAX, whole);
                let rows: Vec<Vec<String>> = rows
                    .into_iter()
                    .map(|row| row.into_iter().map(text).collect())
                    .collect();
                let header = find_header(&rows);
                let hits = header.as_ref().map_or(0, |header| header.hits);
                let width = rows.iter().map(Vec::len).max().unwrap_or(0);
                ((hits, steady_width(&rows), width), *one, rows, header)
            });
        // The first of equals, so a file of one column is said to have commas.
        let best = tried.reduce(|best, next| if next.0 > best.0 { next } else { best });
        let (_, separator, rows, header) = best.unwrap_or(((0, 0, 0), b',', Vec::new(), None));
        Analysis::new(encoding, separator, rows, header)
    }
}

impl Analysis {
    fn new(
        encoding: Encoding,
        separator: u8,
        first_rows: Vec<Vec<String>>,
        header: Option<Header>,
    ) -> Self {
        let mut analysis = Self {
            encoding,
            separator: char::from(separator),
            program: None,
            header_row: None,
            columns: Vec::new(),
            first_rows,
            mapped: false,
        };
        if let Some(header) = header {
            analysis.take_header(header);
        } else {
            let width = analysis.first_rows.iter().map(Vec::len).max().unwrap_or(0);
            let unnamed = |number| Column {
                name: format!("#{number}"),
                target: None,
            };
            analysis.columns = (1..=width).map(unnamed).collect();
        }
        analysis
    }

    /// The names of the columns that are not used.
    pub fn unused_columns(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .filter(|column| column.target.is_none())
            .map(|c| c.name.as_str())
    }

    /// Lays a mapping over the proposal.
    ///
    /// # Errors
    /// [`MappingProblem::ColumnUnknown`] for a column that the file does not have,
    /// [`MappingProblem::Required`] for a mapping by header of a file in whose first rows these
    /// headers do not stand.
    pub fn with_mapping(mut self, mapping: &Mapping) -> Result<Self, MappingProblem> {
        match mapping {
            Mapping::Positions(targets) => {
                if targets.len() > self.columns.len() {
                    return Err(MappingProblem::ColumnUnknown(format!("#{}", targets.len())));
                }
                let said = targets.iter().cloned().chain(std::iter::repeat(None));
                for (column, target) in self.columns.iter_mut().zip(said) {
                    column.target = target;
                }
            }
            Mapping::Headers(targets) => {
                if self.header_row.is_none() && !targets.is_empty() {
                    let names: Vec<&str> = targets.keys().map(String::as_str).collect();
                    self.find_named_header(&names)?;
                }
                let mut first = BTreeMap::new();
                for (index, column) in self.columns.iter().enumerate() {
                    first.entry(folded(&column.name)).or_insert(index);
                }
                for (name, target) in targets {
                    let index = first.get(&folded(name));
                    let column = index.and_then(|index| self.columns.get_mut(*index));
                    let column =
                        column.ok_or_else(|| MappingProblem::ColumnUnknown(name.clone()))?;
                    column.target.clone_from(target);
                }
                self.mapped |= !targets.is_empty();
                return Ok(self);
            }
        }
        self.mapped = true;
        Ok(self)
    }

    /// Why the file cannot be read as it stands, if so.
    pub fn problem(&self) -> Option<MappingProblem> {
        if self.first_rows.is_empty() {
            Some(MappingProblem::Empty)
        } else if self.header_row.is_none() && !self.mapped {
            Some(MappingProblem::Required)
        } else if !self
            .columns
            .iter()
            .flat_map(|c| &c.target)
            .any(Target::identifies)
        {
            Some(MappingProblem::NobodyIdentified)
        } else {
            None
        }
    }

    fn take_header(&mut self, header: Header) {
        let names = &self.first_rows[header.index];
        self.header_row = Some(header.index as u64 + 1);
        self.program = header.program;
        self.columns = names
            .iter()
            .zip(header.targets)
            .map(|(name, target)| Column {
                name: name.trim().to_owned(),
                target,
            })
            .collect();
    }

    /// Takes the first row that holds all these names for the header row.
    fn find_named_header(&mut self, names: &[&str]) -> Result<(), MappingProblem> {
        let names: BTreeSet<String> = names.iter().map(|name| folded(name)).collect();
        let holds = |row: &Vec<String>| {
            let cells: BTreeSet<String> = row.iter().map(|cell| folded(cell)).collect();
            names.is_subset(&cells)
        };
        let index = self
            .first_rows
            .iter()
            .position(holds)
            .ok_or(MappingProblem::Required)?;
        let row = &self.first_rows[index];
        let program = Program::recognise(row);
        let targets = headers::targets(row, program);
        self.take_header(Header {
            index,
            program,
            targets,
            hits: 0,
        });
        Ok(())
    }
}

/// Headers are the same without regard to case and to blanks around them.
fn folded(header: &str) -> String {
    header.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::csv::Field;

    fn analyse(text: &str) -> Analysis {
        let mut analyzer = Analyzer::new();
        analyzer.feed(text.as_bytes());
        analyzer.finish()
    }

    #[test]
    fn separators_are_detected() {
        for separator in [',', ';', '\t', '|'] {
            let text = "First Name,Last Name,Email\nAda,L,ada@example.com\n"
                .replace(',', &separator.to_string());
            let analysis = analyse(&text);
            assert_eq!(
                (analysis.separator, analysis.header_row),
                (separator, Some(1))
            );
        }
        let declared = analyse("sep=;\nEmail;Name, full\nada@example.com;Ada\n");
        assert_eq!((declared.separator, declared.header_row), (';', Some(2)));
        assert_eq!(analyse("Email\nada@example.com\n").separator, ',');
    }

    #[test]
    fn a_header_may_stand_below_a_title() {
        let text =
            "\"Example Export, 2020\",,\n,,\nCLIENTS,,\nName,Email,Phone\nAda,a@example.com,1\n";
        let analysis = analyse(text);
        assert_eq!(analysis.header_row, Some(4));
        assert_eq!(analysis.problem(), None);
    }

    #[test]
    fn data_is_never_taken_for_headers() {
        for text in [
            "Ada,Ada,L,ada@example.com\n",
            "Acme,Ada\n",
            "Name,+1 201 555 0123\n",
            "\n",
        ] {
            let analysis = analyse(text);
            assert_eq!(analysis.header_row, None, "{text}");
        }
        assert_eq!(
            analyse("Ada,ada@example.com\n").problem(),
            Some(MappingProblem::Required)
        );
        assert_eq!(analyse("").problem(), Some(MappingProblem::Empty));
    }

    #[test]
    fn a_mapping_says_what_the_proposal_does_not() {
        let analysis = analyse("Wer,Adresse,Email\nAda,x,ada@example.com\n");
        let mapping = Mapping::from_pairs([("wer", "display_name"), ("email", "ignore")]).unwrap();
        let mapped = analysis.clone().with_mapping(&mapping).unwrap();
        assert_eq!(
            mapped.columns[0].target,
            Some(Target::Field(Field::DisplayName))
        );
        assert_eq!(mapped.unused_columns().collect::<Vec<_>>(), ["Email"]);
        let wrong = Mapping::from_pairs([("Nobody", "email")]).unwrap();
        assert_eq!(
            analysis.with_mapping(&wrong),
            Err(MappingProblem::ColumnUnknown("Nobody".into()))
        );
        let unknown = analyse("alpha,beta\nAda,L\n");
        let named = Mapping::from_pairs([("beta", "family_name")]).unwrap();
        assert_eq!(
            unknown.clone().with_mapping(&named).unwrap().header_row,
            Some(1)
        );
        let positions = Mapping::from_pairs([("#1", "given_name")]).unwrap();
        let headless = unknown.with_mapping(&positions).unwrap();
        assert_eq!((headless.header_row, headless.problem()), (None, None));
    }
}
