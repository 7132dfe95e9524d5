//! Lists of positions and transitions, page by page.

use store::Conn;
use store::filter::{self, Expr, Field, Kind};
use store::order;
use store::pages::{self, PageToken};
use types::Deadline;

use super::{App, gate, positions};
use crate::domain::activations::Lineage;
use crate::domain::positions::{Position, Shown};
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

/// What a list of policies or their revisions can be filtered by.
const POLICIES: &[Field] = &[
    Field::one("preset", Kind::Text),
    Field::one("creator", Kind::Text),
    Field::one("create_time", Kind::Time),
    Field::one("revision_create_time", Kind::Time),
];

/// What a list of activations can be filtered by.
const ACTIVATIONS: &[Field] = &[
    Field::one(
        "state",
        Kind::Word(&["ACTIVATING", "MAPPING", "COMPLETE", "CANCELLED"]),
    ),
    Field::one("actor", Kind::Text),
    Field::one("create_time", Kind::Time),
];

/// What a list of positions can be sorted by.
const POSITION_ORDERS: &[&str] = &["enter_time", "stage"];

/// The lists, each with what must stay the same from page to page besides filter and order.
#[derive(Clone, Copy, Debug)]
pub enum List<'a> {
    /// Positions of a workspace.
    Positions(&'a str),
    /// Transitions of a workspace, or of one of its contacts.
    Transitions(&'a str, Option<&'a str>),
    /// Policies of a workspace, or the revisions of one of them.
    Policies(&'a str, Option<&'a str>),
    /// Activations of a workspace.
    Activations(&'a str),
}

impl List<'_> {
    fn fields(self) -> &'static [Field] {
        match self {
            Self::Positions(_) => POSITIONS,
            Self::Transitions(..) => TRANSITIONS,
            Self::Policies(..) => POLICIES,
            Self::Activations(_) => ACTIVATIONS,
        }
    }

    fn orders(self) -> &'static [&'static str] {
        match self {
            Self::Positions(_) => POSITION_ORDERS,
            Self::Transitions(..) | Self::Policies(..) | Self::Activations(_) => &[],
        }
    }

    /// What a page token is good for.
    fn args_hash(self, page: &PageRequest) -> [u8; 16] {
        let (list, workspace, of) = match self {
            Self::Positions(workspace) => ("positions", workspace, ""),
            Self::Transitions(workspace, contact) => {
                ("transitions", workspace, contact.unwrap_or("-"))
            }
            Self::Policies(workspace, policy) => {
                ("policies", workspace, policy.unwrap_or_default())
            }
            Self::Activations(workspace) => ("activations", workspace, ""),
        };
        pages::args_hash(&[list, workspace, of, &page.filter, &page.order_by])
    }

    /// Reads filter, order, place and size of a page.
    pub fn read(self, page: &PageRequest) -> Result<Asked, Error> {
        let args_hash = self.args_hash(page);
        Ok(Asked {
            filter: filter::parse(&page.filter, self.fields())?,
            order: order::parse(&page.order_by, self.orders())?,
            after: PageToken::decode(&page.token, &args_hash)?,
            size: pages::page_size(page.size)?,
            args_hash,
        })
    }

    /// Everything that is wrong with a page that is asked for.
    pub fn faults(self, page: &PageRequest) -> Vec<Error> {
        let filter = filter::parse(&page.filter, self.fields()).err();
        let order = order::parse(&page.order_by, self.orders()).err();
        let place = PageToken::decode(&page.token, &self.args_hash(page)).err();
        let list = [
            filter.map(Error::from),
            order.map(Error::from),
            place.map(Error::from),
        ];
        list.into_iter().flatten().collect()
    }
}

/// A page that is asked for, read.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Which of them.
    pub filter: Option<Expr>,
    /// In which order; empty for the list's own.
    pub order: Vec<order::Key>,
    /// The keys of the last one before the page.
    pub after: Option<Vec<pages::Key>>,
    /// How many at most.
    pub size: i64,
    args_hash: [u8; 16],
}

impl Asked {
    /// How many rows to read: one more than the page has, to know whether another one follows.
    pub fn limit(&self) -> i64 {
        self.size + 1
    }

    /// The page of these rows.
    pub fn cut<T>(&self, rows: Vec<(T, Vec<pages::Key>)>) -> Page<T> {
        cut(rows, self.size, self.args_hash)
    }
}

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
fn cut<T>(mut rows: Vec<(T, Vec<pages::Key>)>, size: i64, args_hash: [u8; 16]) -> Page<T> {
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
        let asked = List::Positions(workspace).read(&page)?;
        let order = asked.order.iter();
        let list = PositionList {
            workspace: workspace.to_owned(),
            filter: asked.filter.clone(),
            order: order
                .map(|key| (sort_key(key.field), key.descending))
                .collect(),
            after: asked.after.clone(),
            limit: asked.limit(),
        };
        self.wait_until_followed(workspace, &page.fresh, deadline)
            .await?;
        let mut lineage = self.lineage(workspace, deadline).await?;
        loop {
            let (list, with) = (list.clone(), lineage.clone());
            let listed = self
                .store
                .within(workspace)
                .read_snapshot("positions.list", deadline, move |conn| {
                    listed(conn, &list, &with)
                })
                .await?;
            match listed {
                Listed::Shown(rows) => return Ok(asked.cut(rows)),
                Listed::Unknown { activation, rows } => {
                    self.check_expressed(workspace, activation, &rows, deadline)
                        .await?;
                }
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
        let asked = List::Transitions(workspace, contact.as_deref()).read(&page)?;
        let list = TransitionList {
            workspace: workspace.to_owned(),
            filter: asked.filter.clone(),
            after: asked.after.clone(),
            contact,
            limit: asked.limit(),
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
            .within(workspace)
            .read("transitions.list", deadline, move |conn| {
                transitions_list(conn, &list)
            })
            .await?;
        Ok(asked.cut(rows))
    }
}

/// Positions, each with the keys by which a page begins after it.
type Rows = Vec<(Shown, Vec<pages::Key>)>;

/// What was found for a page.
enum Listed {
    /// Its rows.
    Shown(Rows),
    /// Nothing that can be shown: the lineage does not know the activation in force, or not that of
    /// these rows.
    Unknown {
        activation: i64,
        rows: Vec<Position>,
    },
}

fn listed(conn: &mut Conn, list: &PositionList, lineage: &Lineage) -> Result<Listed, Error> {
    let state = workspace_get(conn, &list.workspace)?;
    let activation = state.map_or(0, |state| state.activation);
    if activation != lineage.active().number {
        let rows = Vec::new();
        return Ok(Listed::Unknown { activation, rows });
    }
    let rows = positions_list(conn, list, lineage)?;
    if rows.iter().any(|(row, _)| !lineage.reaches(row.activation)) {
        let rows = rows.into_iter().map(|(row, _)| row).collect();
        return Ok(Listed::Unknown { activation, rows });
    }
    let found: Vec<_> = rows.iter().map(|(row, _)| row.clone()).collect();
    let pending = positions::waiting(conn, &list.workspace, &found)?;
    let mut primaries = positions::primaries(conn, &list.workspace, &found)?;
    let shown = rows.into_iter().map(|(row, keys)| {
        let one = pending.iter().find(|one| one.contact == row.name);
        let primary = primaries.remove(&row.name);
        (gate::shown(lineage, row, one, primary), keys)
    });
    Ok(Listed::Shown(shown.collect()))
}

fn sort_key(field: &str) -> SortKey {
    match field {
        "stage" => SortKey::Stage,
        _ => SortKey::EnterTime,
    }
}
