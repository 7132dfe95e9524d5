//! Which encoding a file is in, found while its bytes pass by.

use encoding_rs::{Decoder, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The encoding of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
    /// What older office programs write: taken where the bytes are no valid UTF-8.
    Windows1252,
}

impl Encoding {
    /// The name in the registry of IANA.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// The text of bytes that were cut at ASCII characters; None where they are not valid.
    pub(crate) fn text(self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Windows1252 => Some(
                WINDOWS_1252
                    .decode_without_bom_handling(bytes)
                    .0
                    .into_owned(),
            ),
            _ => std::str::from_utf8(bytes).ok().map(str::to_owned),
        }
    }
}

/// Finds the encoding of a file whose bytes it is shown in order.
#[derive(Debug, Default)]
pub struct Detector {
    head: Vec<u8>,
    /// The last bytes, where they may be the beginning of a character.
    carry: Vec<u8>,
    invalid: bool,
}

/// The bytes that are enough to tell UTF-16 without a mark.
const HEAD_LEN: usize = 64;

impl Detector {
    /// Takes the next bytes of the file.
    pub fn feed(&mut self, chunk: &[u8]) {
        let missing = HEAD_LEN.saturating_sub(self.head.len()).min(chunk.len());
        self.head.extend_from_slice(&chunk[..missing]);
        if self.invalid {
            return;
        }
        let mut bytes = std::mem::take(&mut self.carry);
        bytes.extend_from_slice(chunk);
        if let Err(error) = std::str::from_utf8(&bytes) {
            if error.error_len().is_some() {
                self.invalid = true;
            } else {
                self.carry = bytes.split_off(error.valid_up_to());
            }
        }
    }

    /// The encoding, judged by all bytes so far as the whole file.
    pub fn finish(&self) -> Encoding {
        self.wide()
            .unwrap_or(if self.invalid || !self.carry.is_empty() {
                Encoding::Windows1252
            } else {
                Encoding::Utf8
            })
    }

    /// The encoding, judged by a beginning of the file, which may end within a character.
    pub fn so_far(&self) -> Encoding {
        self.wide().unwrap_or(if self.invalid {
            Encoding::Windows1252
        } else {
            Encoding::Utf8
        })
    }

    /// UTF-16 by its mark, or by the zero bytes that ASCII letters have in it.
    pub fn wide(&self) -> Option<Encoding> {
        let zeros = |parity: usize| {
            self.head
                .iter()
                .skip(parity)
                .step_by(2)
                .filter(|byte| **byte == 0)
                .count()
        };
        match self.head.as_slice() {
            [0xff, 0xfe, ..] => Some(Encoding::Utf16Le),
            [0xfe, 0xff, ..] => Some(Encoding::Utf16Be),
            head if head.len() >= 4 && zeros(1) * 4 >= head.len() && zeros(0) == 0 => {
                Some(Encoding::Utf16Le)
            }
            head if head.len() >= 4 && zeros(0) * 4 >= head.len() && zeros(1) == 0 => {
                Some(Encoding::Utf16Be)
            }
            _ => None,
        }
    }

    /// Whether [`Detector::wide`] has seen all that it looks at.
    pub fn is_settled(&self) -> bool {
        self.head.len() >= HEAD_LEN
    }
}

/// Turns the bytes of a file into bytes whose ASCII characters are ASCII bytes: UTF-16 becomes
/// UTF-8, the others stay; a byte order mark is dropped.
pub struct Narrower {
    wide: Option<Decoder>,
    /// The first bytes, until it is known whether they are a mark.
    start: Option<Vec<u8>>,
}

impl Narrower {
    /// A narrower for a file in this encoding.
    pub fn new(encoding: Encoding) -> Self {
        let wide = match encoding {
            Encoding::Utf16Le => Some(UTF_16LE.new_decoder_with_bom_removal()),
            Encoding::Utf16Be => Some(UTF_16BE.new_decoder_with_bom_removal()),
            Encoding::Utf8 | Encoding::Windows1252 => None,
        };
        Self {
            start: wide.is_none().then(Vec::new),
            wide,
        }
    }

    /// Appends the next bytes of the file to `out`; `last` says that there are no more.
    pub fn push(&mut self, chunk: &[u8], last: bool, out: &mut Vec<u8>) {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if let Some(decoder) = &mut self.wide {
            let room = decoder
                .max_utf8_buffer_length(chunk.len())
                .unwrap_or(chunk.len() * 3 + 16);
            let mut text = String::with_capacity(room);
            // The buffer has room for the worst case, so one call takes all of the input.
            let _ = decoder.decode_to_string(chunk, &mut text, last);
            out.extend_from_slice(text.as_bytes());
            return;
        }
        let Some(start) = &mut self.start else {
            out.extend_from_slice(chunk);
            return;
        };
        start.extend_from_slice(chunk);
        if start.len() >= MARK.len() || last || !MARK.starts_with(start) {
            out.extend_from_slice(start.strip_prefix(MARK).unwrap_or(start));
            self.start = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(bytes: &[u8], chunk: usize) -> (Encoding, String) {
        let mut detector = Detector::default();
        bytes.chunks(chunk).for_each(|part| detector.feed(part));
        let encoding = detector.finish();
        let mut narrower = Narrower::new(encoding);
        let mut narrow = Vec::new();
        bytes
            .chunks(chunk)
            .for_each(|part| narrower.push(part, false, &mut narrow));
        narrower.push(&[], true, &mut narrow);
        (encoding, encoding.text(&narrow).unwrap())
    }

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let mark = if mark { "\u{feff}" } else { "" };
        let units = mark.encode_utf16().chain(text.encode_utf16());
        units
            .flat_map(|u| {
                if big {
                    u.to_be_bytes()
                } else {
                    u.to_le_bytes()
                }
            })
            .collect()
    }

    #[test]
    fn each_encoding_is_recognised_whatever_the_chunks() {
        let text = "Name;Stra\u{df}e \u{4f60}";
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        for chunk in [1, 2, 3, 1000] {
            let expect = |encoding| (encoding, text.to_owned());
            assert_eq!(detect(text.as_bytes(), chunk), expect(Encoding::Utf8));
            assert_eq!(detect(&marked, chunk), expect(Encoding::Utf8));
            for mark in [true, false] {
                assert_eq!(
                    detect(&utf16(text, false, mark), chunk),
                    expect(Encoding::Utf16Le)
                );
                assert_eq!(
                    detect(&utf16(text, true, mark), chunk),
                    expect(Encoding::Utf16Be)
                );
            }
            let western = (Encoding::Windows1252, "Stra\u{df}e \u{20ac}".to_owned());
            assert_eq!(detect(b"Stra\xdfe \x80", chunk), western);
        }
        assert_eq!(detect(b"", 1), (Encoding::Utf8, String::new()));
    }
}
