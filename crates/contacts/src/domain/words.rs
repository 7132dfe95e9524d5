//! Enumerations whose values have one spelling everywhere: in rows, documents, filters and files.

/// Declares an enumeration with its words: the proto's names without their prefix.
///
/// The first value is the default. `ALL`, `WORDS`, `as_str` and `from_word` go by the order of the
/// declaration; serde reads and writes the words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $first_doc:literal $first:ident = $first_word:literal $(, $value_doc:literal $value:ident = $word:literal)* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            #[doc = $first_doc]
            #[default]
            #[serde(rename = $first_word)]
            $first,
            $(#[doc = $value_doc] #[serde(rename = $word)] $value,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[Self::$first $(, Self::$value)*];
            /// The word of every value, in the order of [`Self::ALL`].
            pub const WORDS: &'static [&'static str] = &[$first_word $(, $word)*];

            /// The value's word.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$value => $word,)*
                }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }
    };
}

pub(super) use words;
