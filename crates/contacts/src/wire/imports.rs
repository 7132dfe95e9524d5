//! Imports and their rows.

use proto::contacts::v1::{self, import, import_row};
use proto::convert::timestamp_to_wire;
use types::{ContactName, ImportName};

use super::word;
use crate::domain::imports::{Format, Import, Outcome, RowReport, State};

/// The format of a number on the wire.
pub fn format_from_wire(format: i32) -> Option<Format> {
    let format = import::Format::try_from(format).unwrap_or_default();
    Format::from_word(word(format.as_str_name(), "FORMAT_"))
}

/// An import as callers see it.
pub fn message(import: &Import) -> v1::Import {
    v1::Import {
        name: import.name().to_string(),
        format: format_to_wire(import.format) as i32,
        mapping: import.mapping.clone(),
        dry_run: import.dry_run,
        no_header: import.no_header,
        requested_stage: import.requested_stage.clone(),
        default_region: import.default_region.clone(),
        state: state_to_wire(import.state) as i32,
        uploaded_bytes: import.uploaded_bytes,
        total_rows: import.total_rows,
        done_rows: import.counts.done,
        created_rows: import.counts.created,
        matched_rows: import.counts.matched,
        refused_rows: import.counts.refused,
        program: import.program.clone(),
        applied_mapping: import.applied_mapping.clone(),
        unused_columns: import.unused_columns.clone(),
        failure: import.failure.clone(),
        create_time: Some(timestamp_to_wire(import.create_time)),
        start_time: import.start_time.map(timestamp_to_wire),
        end_time: import.end_time.map(timestamp_to_wire),
        etag: import.etag(),
    }
}

/// What became of a row, as callers see it.
pub fn row_message(import: &ImportName, report: &RowReport) -> v1::ImportRow {
    let contact = match report.contact.as_str() {
        "" => String::new(),
        id => ContactName::new(import.workspace.clone(), id).to_string(),
    };
    v1::ImportRow {
        row: report.row,
        outcome: outcome_to_wire(report.outcome) as i32,
        contact,
        problems: report.problems.clone(),
        display_name: report.display_name.clone(),
    }
}

fn format_to_wire(format: Format) -> import::Format {
    match format {
        Format::Csv => import::Format::Csv,
        Format::Vcard => import::Format::Vcard,
        Format::Ndjson => import::Format::Ndjson,
    }
}

fn state_to_wire(state: State) -> import::State {
    match state {
        State::Uploading => import::State::Uploading,
        State::Running => import::State::Running,
        State::Checked => import::State::Checked,
        State::Succeeded => import::State::Succeeded,
        State::Failed => import::State::Failed,
        State::Cancelled => import::State::Cancelled,
    }
}

fn outcome_to_wire(outcome: Outcome) -> import_row::Outcome {
    match outcome {
        Outcome::Created => import_row::Outcome::Created,
        Outcome::Matched => import_row::Outcome::Matched,
        Outcome::Refused => import_row::Outcome::Refused,
    }
}
