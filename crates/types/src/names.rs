//! Resource names: `workspaces/{workspace}/contacts/{contact}` and its kin (AIP-122).
//!
//! A name is parsed once, at the wire, and travels as its parts; it is written out by `Display`.

use std::fmt;
use std::str::FromStr;

/// Why a text is not the name it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have the form `{pattern}`, each id 1 to 63 of a-z, 0-9 and hyphens within")]
pub struct NameError {
    /// The pattern that the name should have had.
    pub pattern: &'static str,
}

/// Whether `text` may stand as an id in a name: 1 to 63 characters of `a-z`, `0-9` and `-`, neither
/// beginning nor ending with a hyphen. Server-made `UUIDv7` ids and caller-chosen ids both fit.
#[must_use]
pub fn is_resource_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The ids in `text` where it matches `pattern`, in order.
fn ids<'a, const N: usize>(
    text: &'a str,
    pattern: &'static str,
) -> Result<[&'a str; N], NameError> {
    let wrong = NameError { pattern };
    let mut found = [""; N];
    let mut next = 0;
    let mut parts = text.split('/');
    for expected in pattern.split('/') {
        let Some(part) = parts.next() else {
            return Err(wrong);
        };
        if expected.starts_with('{') {
            if !is_resource_id(part) {
                return Err(wrong);
            }
            found[next] = part;
            next += 1;
        } else if part != expected {
            return Err(wrong);
        }
    }
    if parts.next().is_some() {
        Err(wrong)
    } else {
        Ok(found)
    }
}

/// Declares a resource name by its pattern and the fields its ids go to.
macro_rules! resource_name {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $count:literal, [$($field:ident),+], $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            $(#[doc = concat!("The id in place of `{", stringify!($field), "}`.")] pub $field: String),+
        }

        impl $name {
            /// The pattern of such a name, as `google.api.resource` has it.
            pub const PATTERN: &'static str = $pattern;

            /// The name made of ids that are known to be well formed.
            #[must_use]
            pub fn new($($field: impl Into<String>),+) -> Self {
                Self { $($field: $field.into()),+ }
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let [$($field),+] = ids::<$count>(text, $pattern)?;
                Ok(Self { $($field: $field.to_owned()),+ })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, $(self.$field),+)
            }
        }
    };
}

resource_name!(
    /// A tenant.
    WorkspaceName, "workspaces/{workspace}", 1, [workspace], "workspaces/{}"
);
resource_name!(
    /// A person, company or group in the directory.
    ContactName, "workspaces/{workspace}/contacts/{contact}", 2, [workspace, contact], "workspaces/{}/contacts/{}"
);
resource_name!(
    /// A progression policy, all its revisions together.
    PolicyName, "workspaces/{workspace}/policies/{policy}", 2, [workspace, policy], "workspaces/{}/policies/{}"
);
resource_name!(
    /// An invoice, draft or issued.
    InvoiceName, "workspaces/{workspace}/invoices/{invoice}", 2, [workspace, invoice], "workspaces/{}/invoices/{}"
);
resource_name!(
    /// A project.
    ProjectName, "workspaces/{workspace}/projects/{project}", 2, [workspace, project], "workspaces/{}/projects/{}"
);
resource_name!(
    /// One run of the importer.
    ImportName, "workspaces/{workspace}/imports/{import}", 2, [workspace, import], "workspaces/{}/imports/{}"
);
resource_name!(
    /// Where one contact stands.
    PositionName,
    "workspaces/{workspace}/contacts/{contact}/position",
    2,
    [workspace, contact],
    "workspaces/{}/contacts/{}/position"
);
resource_name!(
    /// One move in a contact's history; its id is the position's revision after it.
    TransitionName,
    "workspaces/{workspace}/contacts/{contact}/transitions/{transition}",
    3,
    [workspace, contact, transition],
    "workspaces/{}/contacts/{}/transitions/{}"
);
resource_name!(
    /// One revision of a policy; revisions are numbered from 1 and never change.
    PolicyRevisionName,
    "workspaces/{workspace}/policies/{policy}/revisions/{revision}",
    3,
    [workspace, policy, revision],
    "workspaces/{}/policies/{}/revisions/{}"
);
resource_name!(
    /// One contact's membership of a project.
    AssignmentName,
    "workspaces/{workspace}/projects/{project}/assignments/{assignment}",
    3,
    [workspace, project, assignment],
    "workspaces/{}/projects/{}/assignments/{}"
);

impl ContactName {
    /// The workspace the contact lives in.
    #[must_use]
    pub fn parent(&self) -> WorkspaceName {
        WorkspaceName::new(self.workspace.clone())
    }

    /// The name of the contact's position.
    #[must_use]
    pub fn position(&self) -> PositionName {
        PositionName::new(self.workspace.clone(), self.contact.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let text = "workspaces/default/contacts/ada/transitions/7";
        let name: TransitionName = text.parse().expect("a transition's name");
        assert_eq!(
            (name.contact.as_str(), name.transition.as_str()),
            ("ada", "7")
        );
        assert_eq!(name.to_string(), text);
    }

    #[test]
    fn what_is_not_the_pattern_is_refused() {
        for wrong in [
            "",
            "workspaces/w",
            "workspaces/w/contacts/",
            "workspaces/w/contacts/a/",
            "workspaces/w/contacts/a/b",
            "/workspaces/w/contacts/a",
            "workspaces/W/contacts/a",
            "workspaces/-/contacts/a",
            "workspaces/w/contacts/a-",
            "workspaces/w/projects/a",
            "workspaces/w/contacts/a\0",
        ] {
            assert!(
                wrong.parse::<ContactName>().is_err(),
                "{wrong:?} must be refused"
            );
        }
    }

    #[test]
    fn ids_have_at_most_63_characters() {
        assert!(is_resource_id(&"a".repeat(63)));
        assert!(!is_resource_id(&"a".repeat(64)));
    }
}
