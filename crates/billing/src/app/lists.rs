//! What the use cases of lists have in common: pages and orders.

use ::store::filter::{self, Expr, Field, FilterError, Pattern, Test};
use ::store::order::{self, OrderError};
use ::store::pages::{self, Key, PageToken};

use crate::error::Error;

/// How many bytes the resources of a page have at most, as long as it has one: clients read 4 MiB.
const PAGE_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How many rows are read at once: those of a page of the default size, and one more. Rows may be
/// large, and a page that has as many bytes as it may needs no others.
const READ_ROWS_MAX: usize = 51;

/// The page that is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    size: usize,
    args_hash: [u8; 16],
    /// The keys of the last row before the page.
    after: Option<Vec<Key>>,
}

/// Where a read goes on, and how many rows it is to find.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The keys of the last row before.
    pub after: Option<&'a [Key]>,
    /// How many at most.
    pub limit: i64,
}

impl Page {
    /// Reads size and token of a request. `args` are whatever must stay the same from page to page.
    pub fn read(size: i32, token: &str, args: &[&str]) -> Result<Self, Error> {
        let args_hash = pages::args_hash(args);
        Ok(Self {
            // The proto's rules have told of a bad size before.
            after: PageToken::decode(token, &args_hash)?,
            size: usize::try_from(pages::page_size(size)?).unwrap_or(usize::MAX),
            args_hash,
        })
    }

    /// The messages of the page, and the token of the next one, empty at the end. `read` finds the
    /// rows at a place, each with its keys. A page that would be too large for its readers is shorter
    /// than was asked for.
    pub fn fill<T, M: prost::Message, E>(
        &self,
        mut read: impl FnMut(Place<'_>) -> Result<Vec<(T, Vec<Key>)>, E>,
        message: impl Fn(&T) -> M,
    ) -> Result<(Vec<M>, String), E> {
        let (mut page, mut page_bytes) = (Vec::new(), 0);
        let mut after = self.after.clone();
        loop {
            // One more than the page has tells whether another one follows.
            let limit = (self.size + 1 - page.len()).min(READ_ROWS_MAX);
            let found = read(Place {
                after: after.as_deref(),
                limit: i64::try_from(limit).unwrap_or(i64::MAX),
            })?;
            let ended = found.len() < limit;
            for (row, keys) in found {
                let row = message(&row);
                page_bytes += row.encoded_len();
                let is_full =
                    page.len() == self.size || (!page.is_empty() && page_bytes > PAGE_BYTES_MAX);
                if is_full {
                    return Ok((page, self.token(after)));
                }
                page.push(row);
                after = Some(keys);
            }
            if ended {
                return Ok((page, String::new()));
            }
        }
    }

    /// The token of the page after the row with these keys.
    fn token(&self, keys: Option<Vec<Key>>) -> String {
        let args_hash = self.args_hash;
        keys.map_or_else(String::new, |keys| PageToken { args_hash, keys }.encode())
    }
}

/// Reads a filter over the fields of a list.
///
/// Labels are stored as one text, in which a value's beginning can be found but not its end.
pub fn filter(text: &str, fields: &[Field]) -> Result<Option<Expr>, FilterError> {
    let parsed = filter::parse(text, fields)?;
    let mut refused = None;
    if let Some(expr) = &parsed {
        expr.fold(
            &mut |comparison| {
                let inner = matches!(
                    comparison.test,
                    Test::Text(Pattern::Contains(_) | Pattern::Suffix(_))
                );
                if let (Some(key), true) = (&comparison.key, inner) {
                    let field = format!("{}.{key}", comparison.field);
                    refused.get_or_insert(FilterError {
                        offset: text.find(&field).unwrap_or_default(),
                        field,
                        problem: "labels are compared whole, or with `*` at the end".to_owned(),
                    });
                }
            },
            |()| (),
            |(), ()| (),
            |(), ()| (),
        );
    }
    refused.map_or(Ok(parsed), Err)
}

/// Everything that is wrong with the arguments of a list.
pub fn faults(
    filter: Result<Option<Expr>, FilterError>,
    order: Result<Vec<order::Key>, OrderError>,
    page: Result<Page, Error>,
) -> Vec<Error> {
    let filter = filter.err().map(Error::from);
    let order = order.err().map(Error::from);
    [filter, order, page.err()].into_iter().flatten().collect()
}

/// The order asked for, or the list's own: its first field, rising.
#[must_use]
pub fn order_or(order: Vec<order::Key>, fields: &[&'static str]) -> Vec<order::Key> {
    if !order.is_empty() {
        return order;
    }
    let own = fields.iter().take(1);
    own.map(|field| order::Key {
        field,
        descending: false,
    })
    .collect()
}

/// The etag that a change is conditional on: the request's, or the resource's own.
#[must_use]
pub fn etag(request: &str, resource: &str) -> String {
    let given = if request.is_empty() {
        resource
    } else {
        request
    };
    given.to_owned()
}
