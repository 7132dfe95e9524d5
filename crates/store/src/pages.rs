//! Pages of a list: how large, and the token from which the next one goes on.
//!
//! Paging is by key: a token holds the sort keys of the last row, so rows that come and go move
//! nothing. The token is bound to the list's arguments by their hash and grants no access.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::Error;

/// How many rows a page has when the caller does not say.
pub const PAGE_SIZE_DEFAULT: i64 = 50;

/// How many rows a page has at most.
pub const PAGE_SIZE_MAX: i64 = 500;

/// The layout of a token: this byte, the hash, then per key a tag and its value.
const FORMAT: u8 = 1;

/// A token is refused beyond this: no list of the suite has such keys.
const TOKEN_LENGTH_MAX: usize = 8 * 1024;

/// One sort key of the last row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A text.
    Text(String),
    /// An integer, an instant, a flag.
    Int(i64),
    /// No value.
    Null,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageToken {
    /// The hash of the list's arguments.
    pub args_hash: [u8; 16],
    /// The sort keys of the last row that was given out.
    pub keys: Vec<Key>,
}

/// A page's size from a request: 0 is 50, above 500 is 500, negative is
/// [`Error::PageSizeNegative`].
pub fn page_size(requested: i32) -> Result<i64, Error> {
    match i64::from(requested) {
        size if size < 0 => Err(Error::PageSizeNegative),
        0 => Ok(PAGE_SIZE_DEFAULT),
        size => Ok(size.min(PAGE_SIZE_MAX)),
    }
}

/// The hash of a list's arguments: method, parent, filter, order, view, whatever but the page size
/// must stay the same from page to page.
pub fn args_hash(args: &[&str]) -> [u8; 16] {
    let mut hasher = Sha256::new();
    for arg in args {
        hasher.update((arg.len() as u64).to_be_bytes());
        hasher.update(arg.as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}

impl PageToken {
    /// The token as an opaque text.
    pub fn encode(&self) -> String {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&self.args_hash);
        for key in &self.keys {
            match key {
                Key::Null => bytes.push(0),
                Key::Int(number) => {
                    bytes.push(1);
                    bytes.extend_from_slice(&number.to_be_bytes());
                }
                Key::Text(text) => {
                    bytes.push(2);
                    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend_from_slice(text.as_bytes());
                }
            }
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The keys in `token`, if it belongs to the list with these arguments; none when it is empty,
    /// which asks for the first page.
    ///
    /// Errors: [`Error::PageTokenInvalid`], [`Error::PageTokenMismatch`].
    pub fn decode(token: &str, args_hash: &[u8; 16]) -> Result<Option<Vec<Key>>, Error> {
        if token.is_empty() {
            return Ok(None);
        }
        if token.len() > TOKEN_LENGTH_MAX {
            return Err(Error::PageTokenInvalid);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| Error::PageTokenInvalid)?;
        let parsed = parse(&bytes).ok_or(Error::PageTokenInvalid)?;
        if parsed.args_hash != *args_hash {
            return Err(Error::PageTokenMismatch);
        }
        Ok(Some(parsed.keys))
    }
}

fn parse(bytes: &[u8]) -> Option<PageToken> {
    let (&FORMAT, rest) = bytes.split_first()? else {
        return None;
    };
    let (args_hash, mut rest) = rest.split_first_chunk::<16>()?;
    let mut keys = Vec::new();
    while let Some((tag, after)) = rest.split_first() {
        let (key, after) = match tag {
            0 => (Key::Null, after),
            1 => {
                let (number, after) = after.split_first_chunk::<8>()?;
                (Key::Int(i64::from_be_bytes(*number)), after)
            }
            2 => {
                let (length, after) = after.split_first_chunk::<4>()?;
                let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
                let (text, after) = after.split_at_checked(length)?;
                // PostgreSQL has no text with a zero in it, so no key of a row is one.
                let text = String::from_utf8(text.to_vec()).ok()?;
                (!text.contains('\0')).then_some((Key::Text(text), after))?
            }
            _ => return None,
        };
        keys.push(key);
        rest = after;
    }
    Some(PageToken {
        args_hash: *args_hash,
        keys,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Vec<Key>> {
        let key = prop_oneof![
            "[^\0]{0,40}".prop_map(Key::Text),
            any::<i64>().prop_map(Key::Int),
            Just(Key::Null),
        ];
        prop::collection::vec(key, 0..6)
    }

    proptest! {
        #[test]
        fn tokens_round_trip(keys in keys(), args in prop::collection::vec(".{0,20}", 0..4)) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let token = PageToken { args_hash: args_hash(&args), keys: keys.clone() }.encode();
            prop_assert_eq!(PageToken::decode(&token, &args_hash(&args)), Ok(Some(keys)));
            prop_assert_eq!(
                PageToken::decode(&token, &args_hash(&["other"])),
                Err(Error::PageTokenMismatch)
            );
        }

        #[test]
        fn junk_never_panics(token in ".{1,120}", bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let hash = args_hash(&[]);
            prop_assert!(PageToken::decode(&token, &hash).is_err());
            let _ = PageToken::decode(&URL_SAFE_NO_PAD.encode(bytes), &hash);
        }
    }

    #[test]
    fn a_text_that_no_row_can_have_is_refused() {
        let hash = args_hash(&[]);
        let keys = vec![Key::Text("a\0b".to_owned())];
        let token = PageToken {
            args_hash: hash,
            keys,
        }
        .encode();
        assert_eq!(
            PageToken::decode(&token, &hash),
            Err(Error::PageTokenInvalid)
        );
    }

    #[test]
    fn arguments_do_not_run_into_each_other() {
        assert_ne!(args_hash(&["ab", "c"]), args_hash(&["a", "bc"]));
    }

    #[test]
    fn sizes_follow_the_rules() {
        assert_eq!(page_size(0), Ok(50));
        assert_eq!(page_size(7), Ok(7));
        assert_eq!(page_size(501), Ok(500));
        assert_eq!(page_size(-1), Err(Error::PageSizeNegative));
    }
}
