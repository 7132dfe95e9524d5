//! Changes that could not be published, and what waits behind them.
//!
//! The log goes on without them, so they are kept here whole, in the log's order, until they are
//! published or dropped. One that was refused is tried again later and later; what waits behind it comes
//! at once when it is gone.
//!
//! Invariant: the first of a lane is tried; whatever has an earlier one in a lane of its own is not.

use std::collections::HashSet;
use std::time::Duration;

use diesel::prelude::*;
use store::change_log::{Change, LogPosition};
use store::{Conn, Error};
use types::Micros;

use crate::lanes::Item;
use crate::schema::parked_changes as table;

/// The first pause before a refused change is tried again; each further one is twice as long.
const RETRY_FIRST: Duration = Duration::from_secs(30);

/// The longest pause.
const RETRY_MAX: Duration = Duration::from_hours(1);

/// How often what only waits is looked at, should nobody have woken it: on PostgreSQL what it waits for
/// may go at the very moment at which it is parked.
const WAITING: Duration = Duration::from_mins(5);

/// A change that is not published, as an operator is shown it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The event's id.
    pub event_id: String,
    /// What the log calls the change, such as `contact.created`.
    pub kind: String,
    /// What it happened to.
    pub resource: String,
    /// Why it was refused; none where it only waits behind an earlier one.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: i64,
    /// Since when it is here.
    pub park_time: Micros,
    /// When it is tried next, at the latest.
    pub retry_time: Micros,
}

/// A row: a change, whom it is about, and how often it was refused.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) item: Item,
    pub(crate) attempts: i64,
}

/// How many are parked.
pub(crate) fn count(conn: &mut Conn) -> Result<i64, Error> {
    Ok(table::table.count().get_result(conn)?)
}

/// Those of these lanes in which something is parked.
pub(crate) fn blocked(conn: &mut Conn, lanes: &[String]) -> Result<HashSet<String>, Error> {
    let resources = table::table
        .filter(table::resource.eq_any(lanes))
        .select(table::resource)
        .distinct();
    let contacts = table::table
        .filter(table::contact.eq_any(lanes))
        .select(table::contact)
        .distinct();
    let mut found: Vec<String> = store::each!(conn, |c| resources.load(c))?;
    found.extend(store::each!(conn, |c| contacts.load::<String>(c))?);
    Ok(found.into_iter().collect())
}

/// Parks a change: refused for a reason, or behind an earlier one.
pub(crate) fn park(
    conn: &mut Conn,
    item: &Item,
    reason: Option<&str>,
    now: Micros,
) -> Result<(), Error> {
    let Item { change, contact } = item;
    let (attempts, pause) = match reason {
        Some(_) => (1, RETRY_FIRST),
        None => (0, WAITING),
    };
    let LogPosition { epoch, tx, id } = change.position;
    diesel::insert_into(table::table)
        .values((
            (table::epoch.eq(epoch), table::tx.eq(tx), table::id.eq(id)),
            table::workspace.eq(&change.workspace),
            table::kind.eq(&change.kind),
            table::resource.eq(&change.resource),
            table::contact.eq(contact),
            table::revision.eq(change.revision),
            table::payload.eq(&change.payload),
            table::paths.eq(&change.paths),
            table::actor.eq(&change.actor),
            table::request_id.eq(&change.request_id),
            table::event_id.eq(&change.event_id),
            table::record_time.eq(change.record_time.0),
            table::reason.eq(reason.unwrap_or_default()),
            table::attempts.eq(attempts),
            table::park_time.eq(now.0),
            table::retry_time.eq(now.plus(pause).0),
        ))
        .execute(conn)?;
    // Whatever it waits for may have been dropped since that was looked for.
    if reason.is_none() && is_first(conn, item)? {
        retry_at(conn, change.position, now)?;
    }
    Ok(())
}

/// At most `limit` that are to be tried by now, the first of each lane only. Those that turn out to
/// have an earlier one in a lane of theirs are put off.
pub(crate) fn take_due(conn: &mut Conn, now: Micros, limit: i64) -> Result<Vec<Row>, Error> {
    let due: Vec<Columns> = table::table
        .filter(table::retry_time.le(now.0))
        .order((table::retry_time, table::epoch, table::tx, table::id))
        .select(COLUMNS)
        .limit(limit)
        .load(conn)?;
    let mut first = Vec::new();
    for row in due.into_iter().map(row) {
        if is_first(conn, &row.item)? {
            first.push(row);
        } else {
            retry_at(conn, row.item.change.position, now.plus(WAITING))?;
        }
    }
    Ok(first)
}

/// Takes a change off that was published, or is to be forgotten. What waited behind it is next.
pub(crate) fn remove(conn: &mut Conn, item: &Item, now: Micros) -> Result<(), Error> {
    diesel::delete(at(item.change.position)).execute(conn)?;
    let next = [
        first_of_resource(conn, &item.change.resource)?,
        first_of_contact(conn, &item.contact)?,
    ];
    for place in next.into_iter().flatten() {
        // One that was itself refused keeps the time of its next attempt.
        diesel::update(at(place))
            .filter(table::attempts.eq(0))
            .set(table::retry_time.eq(now.0))
            .execute(conn)?;
    }
    Ok(())
}

/// Notes that a change was refused once more.
pub(crate) fn refused_again(
    conn: &mut Conn,
    row: &Row,
    reason: &str,
    now: Micros,
) -> Result<(), Error> {
    let doubled = RETRY_FIRST.saturating_mul(1 << row.attempts.clamp(0, 10));
    let values = (
        table::reason.eq(reason),
        table::attempts.eq(row.attempts + 1),
        table::retry_time.eq(now.plus(doubled.min(RETRY_MAX)).0),
    );
    diesel::update(at(row.item.change.position))
        .set(values)
        .execute(conn)?;
    Ok(())
}

/// Everything that is parked, in the log's order, at most `limit`.
pub(crate) fn list(conn: &mut Conn, limit: i64) -> Result<Vec<Parked>, Error> {
    type Shown = (String, String, String, String, i64, i64, i64);
    let rows: Vec<Shown> = table::table
        .order((table::epoch, table::tx, table::id))
        .select((
            table::event_id,
            table::kind,
            table::resource,
            table::reason,
            table::attempts,
            table::park_time,
            table::retry_time,
        ))
        .limit(limit)
        .load(conn)?;
    let shown = |(event_id, kind, resource, reason, attempts, parked, retry): Shown| Parked {
        event_id,
        kind,
        resource,
        reason: (attempts > 0).then_some(reason),
        attempts,
        park_time: Micros(parked),
        retry_time: Micros(retry),
    };
    Ok(rows.into_iter().map(shown).collect())
}

/// The parked change with this event id.
pub(crate) fn find(conn: &mut Conn, event_id: &str) -> Result<Option<Item>, Error> {
    let found: Option<Columns> = table::table
        .filter(table::event_id.eq(event_id))
        .select(COLUMNS)
        .first(conn)
        .optional()?;
    Ok(found.map(|columns| row(columns).item))
}

/// Has every refused change tried at once.
pub(crate) fn retry_all(conn: &mut Conn, now: Micros) -> Result<usize, Error> {
    Ok(diesel::update(table::table.filter(table::attempts.gt(0)))
        .set(table::retry_time.eq(now.0))
        .execute(conn)?)
}

/// Forgets all of them; how many there were.
pub(crate) fn clear(conn: &mut Conn) -> Result<usize, Error> {
    Ok(diesel::delete(table::table).execute(conn)?)
}

/// Whether nothing is parked before it in a lane of its own.
fn is_first(conn: &mut Conn, item: &Item) -> Result<bool, Error> {
    let place = item.change.position;
    let is_place = |found: Option<LogPosition>| found.is_none_or(|found| found == place);
    Ok(is_place(first_of_resource(conn, &item.change.resource)?)
        && is_place(first_of_contact(conn, &item.contact)?))
}

fn first_of_resource(conn: &mut Conn, resource: &str) -> Result<Option<LogPosition>, Error> {
    let found: Option<Place> = table::table
        .filter(table::resource.eq(resource))
        .order((table::epoch, table::tx, table::id))
        .select(PLACE)
        .first(conn)
        .optional()?;
    Ok(found.map(position))
}

fn first_of_contact(conn: &mut Conn, contact: &str) -> Result<Option<LogPosition>, Error> {
    if contact.is_empty() {
        return Ok(None);
    }
    let found: Option<Place> = table::table
        .filter(table::contact.eq(contact))
        .order((table::epoch, table::tx, table::id))
        .select(PLACE)
        .first(conn)
        .optional()?;
    Ok(found.map(position))
}

fn retry_at(conn: &mut Conn, place: LogPosition, time: Micros) -> Result<(), Error> {
    diesel::update(at(place))
        .set(table::retry_time.eq(time.0))
        .execute(conn)?;
    Ok(())
}

#[diesel::dsl::auto_type(no_type_alias)]
fn at(place: LogPosition) -> _ {
    let key: Place = (place.epoch, place.tx, place.id);
    table::table.find(key)
}

type Place = (i64, i64, i64);

const PLACE: (table::epoch, table::tx, table::id) = (table::epoch, table::tx, table::id);

fn position((epoch, tx, id): Place) -> LogPosition {
    LogPosition { epoch, tx, id }
}

/// A row as it is selected.
type Columns = (
    Place,
    (String, String, String, String, i64, Vec<u8>),
    (String, String, String, String, i64, i64),
);

type Selected = (
    (table::epoch, table::tx, table::id),
    (
        table::workspace,
        table::kind,
        table::resource,
        table::contact,
        table::revision,
        table::payload,
    ),
    (
        table::paths,
        table::actor,
        table::request_id,
        table::event_id,
        table::record_time,
        table::attempts,
    ),
);

const COLUMNS: Selected = (
    PLACE,
    (
        table::workspace,
        table::kind,
        table::resource,
        table::contact,
        table::revision,
        table::payload,
    ),
    (
        table::paths,
        table::actor,
        table::request_id,
        table::event_id,
        table::record_time,
        table::attempts,
    ),
);

fn row((place, what, how): Columns) -> Row {
    let (workspace, kind, resource, contact, revision, payload) = what;
    let (paths, actor, request_id, event_id, record_time, attempts) = how;
    let change = Change {
        position: position(place),
        last: true,
        workspace,
        kind,
        resource,
        revision,
        payload,
        paths,
        actor,
        request_id,
        event_id,
        record_time: Micros(record_time),
    };
    Row {
        item: Item { change, contact },
        attempts,
    }
}
