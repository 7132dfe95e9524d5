//! What the use cases of lists have in common: pages and orders.

use ::store::filter::{self, Expr, Field, FilterError, Pattern, Test};
use ::store::order::{self, OrderError};
use ::store::pages::{self, Key, PageToken};

use crate::error::Error;

/// The page that is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    size: i64,
    args_hash: [u8; 16],
    /// The keys of the last row before the page.
    pub after: Option<Vec<Key>>,
}

impl Page {
    /// Reads size and token of a request. `args` are whatever must stay the same from page to page.
    pub fn read(size: i32, token: &str, args: &[&str]) -> Result<Self, Error> {
        let args_hash = pages::args_hash(args);
        Ok(Self {
            // The proto's rules have told of a bad size before.
            after: PageToken::decode(token, &args_hash)?,
            size: pages::page_size(size)?,
            args_hash,
        })
    }

    /// How many rows to read: one more than the page has, to know whether another one follows.
    #[must_use]
    pub fn limit(&self) -> i64 {
        self.size + 1
    }

    /// The rows of the page and the token of the next one, empty at the end.
    #[must_use]
    pub fn cut<T>(&self, mut rows: Vec<(T, Vec<Key>)>) -> (Vec<T>, String) {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        let more = rows.len() > size;
        rows.truncate(size);
        let token = match rows.last() {
            Some((_, keys)) if more => PageToken {
                args_hash: self.args_hash,
                keys: keys.clone(),
            }
            .encode(),
            _ => String::new(),
        };
        (rows.into_iter().map(|(row, _)| row).collect(), token)
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
