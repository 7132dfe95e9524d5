//! Seals over the histories of a workspace.

use diesel::prelude::*;
use policy::history::Hash;
use store::{Beyond, Conn, Error, locked};
use types::{ContactName, Micros};

use super::schema::{checkpoint_heads as heads, checkpoints as table, positions, transitions};

/// A seal over the heads of all histories that grew since the seal before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// From 1, per workspace.
    pub number: i64,
    /// How many heads it seals.
    pub heads: i64,
    /// The hash of the seal before.
    pub previous_hash: Hash,
    /// The hash over that and the heads.
    pub hash: Hash,
}

/// Where one history ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The contact's id.
    pub contact: String,
    /// The revision of the last row.
    pub revision: i64,
    /// Its hash.
    pub hash: Hash,
}

type Row = (i64, i64, Vec<u8>, Vec<u8>);

fn checkpoint(workspace: &str, row: Row) -> Result<Checkpoint, Error> {
    let (number, count, previous_hash, hash) = row;
    let wrong = || super::corrupt("checkpoints", workspace, &number.to_string());
    Ok(Checkpoint {
        number,
        heads: count,
        previous_hash: super::hash_of(previous_hash).ok_or_else(wrong)?,
        hash: super::hash_of(hash).ok_or_else(wrong)?,
    })
}

/// The newest seal of a workspace.
pub fn checkpoint_last(conn: &mut Conn, workspace: &str) -> Result<Option<Checkpoint>, Error> {
    let row: Option<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .order(table::number.desc())
        .select((
            table::number,
            table::heads,
            table::previous_hash,
            table::hash,
        ))
        .first(conn)
        .optional()?;
    row.map(|row| checkpoint(workspace, row)).transpose()
}

/// The seals of a workspace after `after`, the oldest first.
pub fn checkpoints_after(
    conn: &mut Conn,
    workspace: &str,
    after: i64,
    limit: i64,
) -> Result<Vec<Checkpoint>, Error> {
    let rows: Vec<Row> = table::table
        .filter(table::workspace.eq(workspace))
        .filter(table::number.gt(after))
        .order(table::number)
        .select((
            table::number,
            table::heads,
            table::previous_hash,
            table::hash,
        ))
        .limit(limit)
        .load(conn)?;
    rows.into_iter()
        .map(|row| checkpoint(workspace, row))
        .collect()
}

/// Writes a seal with its heads, and notes on the positions that they are sealed.
pub fn checkpoint_insert(
    conn: &mut Conn,
    workspace: &str,
    new: &Checkpoint,
    sealed: &[Head],
    now: Micros,
) -> Result<(), Error> {
    diesel::insert_into(table::table)
        .values((
            table::workspace.eq(workspace),
            table::number.eq(new.number),
            table::heads.eq(new.heads),
            table::previous_hash.eq(&new.previous_hash[..]),
            table::hash.eq(&new.hash[..]),
            table::record_time.eq(now.0),
        ))
        .execute(conn)?;
    let rows: Vec<_> = sealed
        .iter()
        .map(|head| {
            (
                heads::workspace.eq(workspace),
                heads::number.eq(new.number),
                heads::contact.eq(&head.contact),
                heads::revision.eq(head.revision),
                heads::hash.eq(&head.hash[..]),
            )
        })
        .collect();
    store::all!(conn, rows, |some| diesel::insert_into(heads::table)
        .values(some))?;
    let sealed: Vec<&str> = sealed.iter().map(|head| head.contact.as_str()).collect();
    // Rows are locked in one order everywhere.
    let _: Vec<i64> = locked!(
        conn,
        update,
        positions::table
            .filter(positions::workspace.eq(workspace))
            .filter(positions::contact.eq_any(&sealed))
            .order(positions::contact)
            .select(positions::revision) => load
    )?;
    let revision = heads::table
        .find((workspace, new.number, positions::contact))
        .select(heads::revision)
        .single_value();
    diesel::update(positions::table)
        .filter(positions::workspace.eq(workspace))
        .filter(positions::contact.eq_any(sealed))
        .set(positions::sealed_revision.eq(revision.assume_not_null()))
        .execute(conn)?;
    Ok(())
}

/// A sealed head, and the hash that the history has at its revision now.
pub type Found = (Head, Option<Hash>);

/// The heads of a seal in the order of their contacts, after `after`.
pub fn checkpoint_heads(
    conn: &mut Conn,
    workspace: &str,
    number: i64,
    after: &str,
    limit: i64,
) -> Result<Vec<Found>, Error> {
    type HeadRow = (String, i64, Vec<u8>, Option<Vec<u8>>);
    let rows: Vec<HeadRow> = heads::table
        .left_join(
            transitions::table.on(transitions::workspace
                .eq(heads::workspace)
                .and(transitions::contact.eq(heads::contact))
                .and(transitions::revision.eq(heads::revision))),
        )
        .filter(heads::workspace.eq(workspace))
        .filter(heads::number.eq(number))
        .filter(heads::contact.gt(after))
        .order(heads::contact)
        .select((
            heads::contact,
            heads::revision,
            heads::hash,
            transitions::hash.nullable(),
        ))
        .limit(limit)
        .load(conn)?;
    rows.into_iter()
        .map(|(contact, revision, hash, now)| {
            let wrong = || super::corrupt("checkpoint_heads", workspace, &contact);
            let hash = super::hash_of(hash).ok_or_else(wrong)?;
            let head = Head {
                contact: contact.clone(),
                revision,
                hash,
            };
            Ok((head, now.and_then(super::hash_of)))
        })
        .collect()
}

/// At most `limit` sealed heads of one contact after one, by its revision and seal: seal, revision and
/// hash, in the order of the revisions.
pub fn heads_of_contact(
    conn: &mut Conn,
    contact: &ContactName,
    (revision, number): (i64, i64),
    limit: i64,
) -> Result<Vec<(i64, i64, Vec<u8>)>, Error> {
    let beyond = Beyond::new(false)
        .key(heads::revision, revision)
        .key(heads::number, number);
    Ok(heads::table
        .filter(heads::workspace.eq(&contact.workspace))
        .filter(heads::contact.eq(&contact.contact))
        .filter(beyond)
        .order((heads::revision, heads::number))
        .limit(limit)
        .select((heads::number, heads::revision, heads::hash))
        .load(conn)?)
}
