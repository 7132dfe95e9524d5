//! Lists of positions and transitions, page by page.

use store::Conn;
use store::filter::{self, Field, Kind};
use store::order;
use store::pages::{self, PageToken};
use types::Deadline;

use super::{App, gate, positions};
use crate::domain::activations::Lineage;
use crate::domain::positions::Shown;
use crate::domain::transitions::Transition;
use crate::error::Error;
use crate::store::positions_list::{PositionList, SortKey, positions_list};
use crate::store::transitions_list::{TransitionList, transitions_list};
use crate::store::workspaces::workspace_get;
use crate::wire::transitions::CAUSES;

const ROLES: &[&str] = &["UNSPECIFIED", "CONTACT", "LEAD", "PROSPECT", "CLIENT"];

/// What a list of positions can be filtered by.
const POSITIONS: &[Field] = &[
    Field::one("stage", Kind::Text),
    Field::one("role", Kind::Word(ROLES)),
    Field::one("state", Kind::Word(&["OPEN", "REVOKING", "NONE"])),
    Field::one("enter_time", Kind::Time),
    Field::one("contact", Kind::Text),
];

/// What a list of transitions can be filtered by.
const TRANSITIONS: &[Field] = &[
    Field::one("from_stage", Kind::Text),
    Field::one("to_stage", Kind::Text),
    Field::one("to_role", Kind::Word(ROLES)),
    Field::one("cause", Kind::Word(CAUSES)),
    Field::one("actor", Kind::Text),
    Field::one("effective_time", Kind::Time),
    Field::one("record_time", Kind::Time),
];

/// A page that is asked for.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// How many at most; 0 for the default.
    pub size: i32,
    /// Where the page before ended.
    pub token: String,
    /// Which of them.
    pub filter: String,
    /// In which order.
    pub order_by: String,
    /// Consistency tokens.
    pub fresh: Vec<String>,
}

/// A page, and where the next one begins; empty at the end.
#[derive(Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins.
    pub next: String,
}

/// Cuts a page out of one row more than it has.
pub fn cut<T>(mut rows: Vec<(T, Vec<pages::Key>)>, size: i64, args_hash: [u8; 16]) -> Page<T> {
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = rows.len() > size;
    rows.truncate(size);
    let next = match rows.last() {
        Some((_, keys)) if more => PageToken {
            args_hash,
            keys: keys.clone(),
        }
        .encode(),
        _ => String::new(),
    };
    Page {
        items: rows.into_iter().map(|(item, _)| item).collect(),
        next,
    }
}

impl App {
    /// Positions of a workspace, page by page.
    pub async fn list_positions(
        &self,
        workspace: &str,
        page: PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Shown>, Error> {
        let size = pages::page_size(page.size)?;
        let args = pages::args_hash(&["positions", workspace, &page.filter, &page.order_by]);
        let after = PageToken::decode(&page.token, &args)?;
        let order = order::parse(&page.order_by, &["enter_time", "stage"])?;
        let list = PositionList {
            workspace: workspace.to_owned(),
            filter: filter::parse(&page.filter, POSITIONS)?,
            order: order
                .iter()
                .map(|key| (sort_key(key.field), key.descending))
                .collect(),
            after,
            limit: size + 1,
        };
        self.wait_until_followed(workspace, &page.fresh, deadline)
            .await?;
        let mut lineage = self.lineage(workspace, deadline).await?;
        loop {
            let (asked, with) = (list.clone(), lineage.clone());
            let rows = self
                .store
                .read_snapshot("positions.list", deadline, move |conn| {
                    listed(conn, &asked, &with)
                })
                .await?;
            if let Some(rows) = rows {
                return Ok(cut(rows, size, args));
            }
            lineage = self.lineage_read(workspace, deadline).await?;
        }
    }

    /// Transitions of a contact, or of all contacts of a workspace, page by page.
    pub async fn list_transitions(
        &self,
        workspace: &str,
        contact: Option<String>,
        page: PageRequest,
        deadline: Deadline,
    ) -> Result<Page<Transition>, Error> {
        let size = pages::page_size(page.size)?;
        let whose = contact.clone().unwrap_or_else(|| "-".to_owned());
        let args = pages::args_hash(&["transitions", workspace, &whose, &page.filter]);
        let list = TransitionList {
            workspace: workspace.to_owned(),
            filter: filter::parse(&page.filter, TRANSITIONS)?,
            after: PageToken::decode(&page.token, &args)?,
            contact,
            limit: size + 1,
        };
        match &list.contact {
            // Whoever asks for a history before the log arrived has the contact opened first.
            Some(contact) => {
                let name = types::ContactName::new(workspace, contact);
                self.position_shown(&name, &page.fresh, deadline).await?;
            }
            None => {
                self.wait_until_followed(workspace, &page.fresh, deadline)
                    .await?;
            }
        }
        let rows = self
            .store
            .read("transitions.list", deadline, move |conn| {
                transitions_list(conn, &list)
            })
            .await?;
        Ok(cut(rows, size, args))
    }
}

/// Positions, each with the keys by which a page begins after it.
type Rows = Vec<(Shown, Vec<pages::Key>)>;

/// The rows of a page; `None` where they are in the words of a policy that the lineage does not know.
fn listed(conn: &mut Conn, list: &PositionList, lineage: &Lineage) -> Result<Option<Rows>, Error> {
    let state = workspace_get(conn, &list.workspace)?;
    if state.is_none_or(|state| state.activation != lineage.active().number) {
        return Ok(None);
    }
    let rows = positions_list(conn, list, lineage)?;
    if rows.iter().any(|(row, _)| !lineage.reaches(row.activation)) {
        return Ok(None);
    }
    let found: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
    let pending = positions::waiting(conn, &list.workspace, &found)?;
    let shown = rows.into_iter().map(|(row, keys)| {
        let one = pending.iter().find(|one| one.contact == row.name);
        (gate::shown(lineage, row, one), keys)
    });
    Ok(Some(shown.collect()))
}

fn sort_key(field: &str) -> SortKey {
    match field {
        "stage" => SortKey::Stage,
        _ => SortKey::EnterTime,
    }
}
