//! The rows of histories one by one, read in pages: a history may be longer than memory is large.

use std::collections::VecDeque;

use store::Conn;
use types::ContactName;

use super::broken;
use crate::domain::transitions::Transition;
use crate::error::Error;
use crate::store as tables;

/// Rows that are read at once.
const PAGE: i64 = 500;

/// Rows of a workspace in the order of their contacts and histories.
pub(super) struct Rows<'c> {
    conn: &'c mut Conn,
    workspace: String,
    /// The contact and revision of the last row that was read.
    at: (String, i64),
    /// The contact whose rows are the last ones; all of the workspace where none is named.
    through: Option<String>,
    read: VecDeque<Transition>,
    /// Whether all were read.
    ended: bool,
}

impl<'c> Rows<'c> {
    /// One contact's rows.
    pub(super) fn of_contact(conn: &'c mut Conn, name: &ContactName) -> Self {
        Self {
            conn,
            workspace: name.workspace.clone(),
            at: (name.contact.clone(), i64::MIN),
            through: Some(name.contact.clone()),
            read: VecDeque::new(),
            ended: false,
        }
    }

    /// The rows of the contacts after one, up to another.
    pub(super) fn after(
        conn: &'c mut Conn,
        workspace: &str,
        after: &str,
        through: Option<String>,
    ) -> Self {
        Self {
            conn,
            workspace: workspace.to_owned(),
            at: (after.to_owned(), i64::MAX),
            through,
            read: VecDeque::new(),
            ended: false,
        }
    }

    /// The next row, which stays the next one.
    pub(super) fn peek(&mut self) -> Result<Option<&Transition>, Error> {
        if self.read.is_empty() && !self.ended {
            self.page()?;
        }
        Ok(self.read.front())
    }

    /// The next row, if it is this contact's.
    pub(super) fn next_of(&mut self, name: &ContactName) -> Result<Option<Transition>, Error> {
        match self.peek()? {
            Some(row) if row.contact == *name => Ok(self.read.pop_front()),
            Some(_) | None => Ok(None),
        }
    }

    fn page(&mut self) -> Result<(), Error> {
        let (contact, revision) = &self.at;
        let page = tables::transitions::transitions_after(
            self.conn,
            &self.workspace,
            (contact, *revision),
            self.through.as_deref(),
            PAGE,
        )
        .map_err(unreadable)?;
        match page.last() {
            Some(last) => self.at = (last.contact.contact.clone(), last.revision),
            None => self.ended = true,
        }
        self.read.extend(page);
        Ok(())
    }
}

/// A row that cannot even be read was not written so.
fn unreadable(error: store::Error) -> Error {
    match &error {
        store::Error::Corrupt { id, .. } => match id.split_once('/') {
            Some((workspace, contact)) => {
                let name = ContactName::new(workspace, contact);
                broken(&name, 0, "a row of it cannot be read")
            }
            None => error.into(),
        },
        _ => error.into(),
    }
}
