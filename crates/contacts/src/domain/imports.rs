//! An import: one run of the importer over one file, and what became of its rows.

use std::collections::BTreeMap;

use types::{ImportName, Micros, etag};

use super::words::words;

/// How many bytes the file of an import may have.
pub const FILE_BYTES_MAX: i64 = 2 * 1024 * 1024 * 1024;

words!(
    /// The kind of file.
    Format {
        "Comma-separated values, also with semicolons or tabs." Csv = "CSV",
        "vCard 2.1, 3.0 or 4.0." Vcard = "VCARD",
        "A contact as JSON on each line." Ndjson = "NDJSON",
    }
);

words!(
    /// How far an import has come.
    State {
        "Waits for its file." Uploading = "UPLOADING",
        "Runs." Running = "RUNNING",
        "A dry run has ended; it may be run for real." Checked = "CHECKED",
        "Has ended." Succeeded = "SUCCEEDED",
        "Could not be run." Failed = "FAILED",
        "Was cancelled." Cancelled = "CANCELLED",
    }
);

words!(
    /// What was done with a row.
    Outcome {
        "A contact was created, or would be in a dry run." Created = "CREATED",
        "The contact is there already." Matched = "MATCHED",
        "The row can't be imported." Refused = "REFUSED",
    }
);

/// One import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The workspace's id.
    pub workspace: String,
    /// The import's id.
    pub id: String,
    /// Counts its changes from 1, progress included.
    pub revision: i64,
    /// The kind of file.
    pub format: Format,
    /// How far it has come.
    pub state: State,
    /// Whether the present run, or the next one, only checks.
    pub dry_run: bool,
    /// The CSV file has no header row.
    pub no_header: bool,
    /// Which column goes where, as asked for.
    pub mapping: BTreeMap<String, String>,
    /// The stage for rows that name none.
    pub requested_stage: String,
    /// The region of phone numbers without a country; empty for none.
    pub default_region: String,
    /// The number of the present run; 0 before the first.
    pub run: i64,
    /// How many bytes of the file are there.
    pub uploaded_bytes: i64,
    /// How many rows the file has; 0 until known.
    pub total_rows: i64,
    /// What became of the rows so far.
    pub counts: Counts,
    /// The program that wrote a CSV file.
    pub program: String,
    /// Which column goes where, as applied.
    pub applied_mapping: BTreeMap<String, String>,
    /// The columns that go nowhere.
    pub unused_columns: Vec<String>,
    /// Why it failed.
    pub failure: String,
    /// The principal that runs it.
    pub actor: String,
    /// When it was created.
    pub create_time: Micros,
    /// When the run began.
    pub start_time: Option<Micros>,
    /// When the run ended.
    pub end_time: Option<Micros>,
}

/// How many rows became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows done, refused ones included.
    pub done: i64,
    /// Rows that created a contact.
    pub created: i64,
    /// Rows whose contact was there already.
    pub matched: i64,
    /// Rows that were refused.
    pub refused: i64,
}

impl Counts {
    /// Counts one more row.
    pub fn add(&mut self, outcome: Outcome) {
        self.done += 1;
        match outcome {
            Outcome::Created => self.created += 1,
            Outcome::Matched => self.matched += 1,
            Outcome::Refused => self.refused += 1,
        }
    }
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowReport {
    /// The row's number in the file, from 1.
    pub row: i64,
    /// What was done.
    pub outcome: Outcome,
    /// The contact's id; empty in a dry run and for a refused row.
    pub contact: String,
    /// Why it was refused, or what was left out of it.
    pub problems: Vec<String>,
    /// The display name, to find the row by.
    pub display_name: String,
}

impl Import {
    /// The resource name.
    pub fn name(&self) -> ImportName {
        ImportName::new(self.workspace.clone(), self.id.clone())
    }

    /// The entity tag of this revision.
    pub fn etag(&self) -> String {
        etag(&self.name().to_string(), self.revision)
    }

    /// Whether pieces of its file may be added.
    pub fn may_upload(&self) -> bool {
        self.state == State::Uploading
    }

    /// Whether it may be run: with a file that was never run, or after a dry run.
    pub fn may_run(&self) -> bool {
        match self.state {
            State::Uploading | State::Checked => self.uploaded_bytes > 0,
            State::Running | State::Succeeded | State::Failed | State::Cancelled => false,
        }
    }

    /// Whether it will never run again, so that nobody reads its file any more.
    pub fn has_ended(&self) -> bool {
        match self.state {
            State::Uploading | State::Running | State::Checked => false,
            State::Succeeded | State::Failed | State::Cancelled => true,
        }
    }

    /// The import as its next run begins.
    #[must_use]
    pub fn started(mut self, dry_run: bool, actor: &str, now: Micros) -> Self {
        self.revision += 1;
        self.state = State::Running;
        self.dry_run = dry_run;
        self.run += 1;
        self.counts = Counts::default();
        self.failure = String::new();
        actor.clone_into(&mut self.actor);
        self.start_time = Some(now);
        self.end_time = None;
        self
    }

    /// The import as its run ends.
    #[must_use]
    pub fn ended(mut self, state: State, failure: &str, now: Micros) -> Self {
        self.revision += 1;
        self.state = state;
        failure.clone_into(&mut self.failure);
        self.end_time = Some(now);
        self
    }

    /// The state of a run that came to the end of its file.
    pub fn completed_state(&self) -> State {
        if self.dry_run {
            State::Checked
        } else {
            State::Succeeded
        }
    }
}
