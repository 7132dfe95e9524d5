//! Lists whose filter leaves few contacts, and how their plan is kept to it.

use ::store::filter::{Comparison, Pattern, Test};

use super::{ContactList, SortKey};

/// Whether the filter leaves so few contacts that they are found by it, and sorted then.
///
/// SQLite knows no values when it chooses, and rather reads a whole workspace in the order asked for
/// than sort anything. Keys that are written as [`Plain`] ones have no index to be read from.
#[derive(Clone, Copy)]
pub(super) struct Narrow(pub(super) bool);

impl Narrow {
    pub(super) fn of(list: &ContactList) -> Self {
        let filter = list.filter.as_ref();
        let names = |fields: &[&str]| {
            filter.is_some_and(|filter| {
                filter.fold(
                    &mut |found: &Comparison| fields.contains(&found.field) && is_exact(found),
                    |_| false,
                    |left, right| left || right,
                    |_, _| false,
                )
            })
        };
        // The contacts of a company have an index in the order of their creation.
        let by_creation = matches!(list.order[..], [(SortKey::CreateTime, _)]);
        Self(names(&["email", "phone", "external_ids"]) || !by_creation && names(&["company"]))
    }
}

/// Whether a comparison asks for one value, not for many or for none.
fn is_exact(comparison: &Comparison) -> bool {
    matches!(&comparison.test, Test::Text(Pattern::Exact(text)) if !text.is_empty())
}

/// A key as an expression that no index has.
pub(super) enum Plain {
    Int(&'static str),
    Text(&'static str),
}

impl SortKey {
    pub(super) fn plain(self) -> Plain {
        match self {
            Self::CreateTime => Plain::Int("contacts.create_time + 0"),
            Self::UpdateTime => Plain::Int("contacts.update_time + 0"),
            Self::DisplayName => Plain::Text("contacts.display_key || ''"),
            Self::FamilyName => Plain::Text("contacts.family_key || ''"),
            Self::Owner => Plain::Text("contacts.owner || ''"),
        }
    }
}
