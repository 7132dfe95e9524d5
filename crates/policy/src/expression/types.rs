//! The types of the guard language.

use std::collections::BTreeMap;
use std::fmt;

/// What a workspace says an attribute is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldType {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// Any number.
    Double,
    /// A text.
    String,
    /// A moment, written as RFC 3339.
    Timestamp,
    /// A span, written as `90s`.
    Duration,
    /// A list of texts.
    StringList,
}

/// The workspace's field declarations: what each attribute of its contacts is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, FieldType>);

impl Fields {
    /// No declarations: expressions may read no attribute.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The type of the attribute `name`, where it is declared.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<FieldType> {
        self.0.get(name).copied()
    }
}

impl<N: Into<String>> FromIterator<(N, FieldType)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, FieldType)>>(fields: I) -> Self {
        Self(
            fields
                .into_iter()
                .map(|(name, field)| (name.into(), field))
                .collect(),
        )
    }
}

/// The type of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Bool,
    Int,
    Double,
    String,
    Timestamp,
    Duration,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    /// A value that may be absent, from `.?` or `[?]`.
    Optional(Box<Type>),
    /// The elements of an empty list or map: fits anything.
    Any,
}

impl Type {
    /// Whether a value of either type may stand where the other is asked for.
    pub(crate) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a.fits(b),
            (Self::Map(k, v), Self::Map(l, w)) => k.fits(l) && v.fits(w),
            (a, b) => a == b,
        }
    }

    /// Whether values of the two types may be compared: `int` and `double` mix.
    pub(crate) fn comparable(&self, other: &Self) -> bool {
        self.fits(other) || (self.is_number() && other.is_number())
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double | Self::Any)
    }

    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(..) | Self::Optional(_))
    }

    pub(crate) fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    pub(crate) fn optional(value: Self) -> Self {
        Self::Optional(Box::new(value))
    }
}

impl From<FieldType> for Type {
    fn from(field: FieldType) -> Self {
        match field {
            FieldType::Bool => Self::Bool,
            FieldType::Int => Self::Int,
            FieldType::Double => Self::Double,
            FieldType::String => Self::String,
            FieldType::Timestamp => Self::Timestamp,
            FieldType::Duration => Self::Duration,
            FieldType::StringList => Self::list(Self::String),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(element) => write!(f, "list({element})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(value) => write!(f, "optional({value})"),
            Self::Any => f.write_str("any"),
        }
    }
}
