//! A card while its lines come in: folded lines are joined, pictures cut short.

use super::cards::CARD_LEN_MAX;
use super::import::BINARY;

/// The bytes kept of a picture, sound or key, enough to tell a link from the thing itself.
const BINARY_LEN_KEPT: usize = 2048;

/// A card whose end has not come yet.
#[derive(Default)]
pub struct Open {
    pub line: u64,
    pub lines: Vec<Vec<u8>>,
    pub len: usize,
    /// What is known of the last line.
    last: Last,
    /// The last line goes on with the next one whatever that begins with.
    soft_break: bool,
    /// The last line is base 64, which may go on without a space before it.
    base64: bool,
    /// How many cards inside this one are open.
    pub depth: usize,
    pub too_large: bool,
}

/// What the part of a line before its colon says.
#[derive(Default)]
struct Last {
    /// The colon has come: the others are settled.
    has_head: bool,
    /// The value is in quoted-printable.
    is_quoted: bool,
    /// The property holds a picture, a sound or a key.
    is_binary: bool,
}

impl Open {
    /// A card that begins on this line of the file.
    pub fn at(line: u64) -> Self {
        Self {
            line,
            ..Self::default()
        }
    }

    /// Takes a line that neither begins nor ends a card.
    pub fn take(&mut self, line: &[u8]) {
        if self.depth > 0 || self.too_large {
            return;
        }
        let folded = line
            .first()
            .is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        let goes_on = self.base64 && !line.is_empty() && !line.contains(&b':');
        if self.soft_break {
            self.extend(line);
        } else if folded || goes_on {
            self.extend(&line[usize::from(folded)..]);
        } else if line.is_empty() {
            self.base64 = false;
        } else {
            let head = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let head = head.to_ascii_uppercase();
            self.base64 = contains(&head, b"BASE64") || contains(&head, b"ENCODING=B");
            self.last = Last {
                is_quoted: contains(&head, b"QUOTED-PRINTABLE"),
                ..Last::default()
            };
            self.lines.push(Vec::new());
            self.extend(line);
        }
    }

    /// Adds bytes to the last line, as far as they are wanted.
    fn extend(&mut self, bytes: &[u8]) {
        let Some(last) = self.lines.last_mut() else {
            return;
        };
        if !self.last.has_head
            && let Some(colon) = bytes.iter().position(|byte| *byte == b':')
        {
            // Looked at once: a line may go on for as long as a card.
            let head = [last.as_slice(), &bytes[..colon]].concat();
            self.last = Last {
                has_head: true,
                is_quoted: contains(&head.to_ascii_uppercase(), b"QUOTED-PRINTABLE"),
                is_binary: is_binary(&head),
            };
        }
        self.soft_break = self.last.is_quoted && bytes.ends_with(b"=");
        let bytes = if self.soft_break {
            &bytes[..bytes.len() - 1]
        } else {
            bytes
        };
        if last.len() > BINARY_LEN_KEPT && self.last.is_binary {
            return;
        }
        self.len += bytes.len();
        if self.len > CARD_LEN_MAX {
            self.too_large = true;
            self.lines.clear();
            self.len = 0;
            return;
        }
        last.extend_from_slice(bytes);
    }

    /// Whether the next card is part of this one (AGENT of vCard 2.1).
    pub fn awaits_agent(&self) -> bool {
        self.lines.last().is_some_and(|line| {
            let line = line.trim_ascii_end();
            line.len() > 5 && line[..5].eq_ignore_ascii_case(b"AGENT") && line.ends_with(b":")
        })
    }
}

/// Whether what is before the colon is of a property that holds a picture, a sound or a key.
fn is_binary(head: &[u8]) -> bool {
    let name = head.split(|byte| *byte == b';').next().unwrap_or_default();
    let name = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    BINARY
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
