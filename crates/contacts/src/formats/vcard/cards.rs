//! Splits a file into cards while its bytes pass by.

use super::import;
use super::line::Line;
use super::open::Open;
use crate::formats::encoding::{Detector, Encoding, Narrower};
use crate::formats::record::ContactRecord;

/// The most bytes of one card, without pictures, sounds and keys; a larger one is refused.
pub const CARD_LEN_MAX: usize = 1 << 20;

/// A card that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The how manieth of the file, from 1.
    pub index: u64,
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    /// The version it says it has; empty where it says none.
    pub version: String,
    /// What it says.
    pub record: ContactRecord,
    /// The properties whose content is not kept, each once: pictures, sounds, keys, and foreign
    /// ones beyond the room for them.
    pub dropped: Vec<String>,
}

/// A card that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("card {index} at line {line}: {reason}")]
pub struct CardProblem {
    /// The how manieth of the file, from 1; 0 for a file without any card.
    pub index: u64,
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    /// Why.
    pub reason: CardRefusal,
}

/// Why a card is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardRefusal {
    /// Another card or the end of the file comes before END:VCARD.
    #[error("the card has no END:VCARD")]
    EndMissing,
    /// Larger than [`CARD_LEN_MAX`].
    #[error("the card is larger than 1 MiB")]
    TooLarge,
    /// No name, organisation, e-mail address or phone number.
    #[error("the card says nothing of who it is")]
    Unidentified,
    /// Our own addition to the card was changed so that it can't be read.
    #[error("X-CLIENTELE-MORE can't be read")]
    AdditionInvalid,
    /// The file has no BEGIN:VCARD at all.
    #[error("the file holds no card")]
    NoCard,
}

/// Reads a vCard file that is fed in chunks.
///
/// ```
/// use contacts::formats::vcard::Reader;
/// let mut reader = Reader::new();
/// reader.feed(b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada");
/// assert!(reader.next_card().is_none());
/// reader.feed(b" L\r\nEND:VCARD\r\n");
/// reader.finish();
/// let card = reader.next_card().expect("a result").expect("a card");
/// assert_eq!(card.record.display_name, "Ada L");
/// assert!(reader.next_card().is_none());
/// ```
pub struct Reader {
    detector: Detector,
    /// The first bytes of the file, until its encoding is known.
    head: Vec<u8>,
    narrower: Option<Narrower>,
    bytes: Vec<u8>,
    at: usize,
    /// Up to where `bytes` hold no line end after `at`.
    searched: usize,
    ended: bool,
    /// The rest of an overlong line is being passed over.
    passing_over: bool,
    line: u64,
    index: u64,
    open: Option<Open>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the beginning of a file.
    pub fn new() -> Self {
        Self {
            detector: Detector::default(),
            head: Vec::new(),
            narrower: None,
            bytes: Vec::new(),
            at: 0,
            searched: 0,
            ended: false,
            passing_over: false,
            line: 0,
            index: 0,
            open: None,
        }
    }

    /// Takes the next bytes of the file. Ask for cards until there is none before the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.at);
        self.searched = self.searched.saturating_sub(self.at);
        self.at = 0;
        if let Some(narrower) = &mut self.narrower {
            narrower.push(chunk, false, &mut self.bytes);
            return;
        }
        self.detector.feed(chunk);
        self.head.extend_from_slice(chunk);
        if self.detector.is_settled() {
            self.settle_encoding();
        }
    }

    /// Says that the file has no more bytes.
    pub fn finish(&mut self) {
        if self.narrower.is_none() {
            self.settle_encoding();
        }
        if let Some(narrower) = &mut self.narrower {
            narrower.push(&[], true, &mut self.bytes);
        }
        self.ended = true;
    }

    /// The next card; None until more bytes come or, after [`Reader::finish`], at the end.
    pub fn next_card(&mut self) -> Option<Result<Card, CardProblem>> {
        while let Some(line) = self.next_line() {
            if let Some(result) = self.take_line(&line) {
                return Some(result);
            }
        }
        if !self.ended {
            return None;
        }
        if self.open.is_some() {
            return self.close(true);
        }
        if self.index == 0 {
            self.index = 1;
            return Some(Err(CardProblem {
                index: 0,
                line: 1,
                reason: CardRefusal::NoCard,
            }));
        }
        None
    }

    /// The bytes held at the moment: the last chunk and the card that is being read.
    pub fn buffered_len(&self) -> usize {
        self.head.len() + self.bytes.len() + self.open.as_ref().map_or(0, |open| open.len)
    }

    /// Cards carry their charset with them, so only UTF-16 matters here.
    fn settle_encoding(&mut self) {
        let mut narrower = Narrower::new(self.detector.wide().unwrap_or(Encoding::Utf8));
        narrower.push(&std::mem::take(&mut self.head), false, &mut self.bytes);
        self.narrower = Some(narrower);
    }

    /// The next line without its end.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = &self.bytes[self.at..];
            let searched = self.searched.saturating_sub(self.at);
            self.searched = self.bytes.len();
            let end = rest[searched..].iter().position(|byte| *byte == b'\n');
            let (line, used, complete) = match end.map(|end| searched + end) {
                Some(end) => (&rest[..end], end + 1, true),
                None if self.ended && !rest.is_empty() => (rest, rest.len(), true),
                None if rest.len() > CARD_LEN_MAX => (&rest[..0], rest.len(), false),
                None => return None,
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
            self.at += used;
            if complete {
                self.searched = self.at;
            }
            if !complete {
                self.passing_over = true;
                self.open.iter_mut().for_each(|open| open.too_large = true);
                continue;
            }
            self.line += 1;
            if !std::mem::take(&mut self.passing_over) {
                return Some(line);
            }
        }
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Result<Card, CardProblem>> {
        // A space at the beginning makes it the rest of a folded line, whatever it says.
        let bare = line.trim_ascii_end();
        if bare.eq_ignore_ascii_case(b"BEGIN:VCARD") {
            if let Some(open) = &mut self.open
                && (open.depth > 0 || open.awaits_agent())
            {
                open.depth += 1;
                return None;
            }
            let unfinished = self.close(true);
            self.index += 1;
            self.open = Some(Open::at(self.line));
            return unfinished;
        }
        let open = self.open.as_mut()?;
        if !bare.eq_ignore_ascii_case(b"END:VCARD") {
            open.take(line);
            return None;
        }
        if open.depth > 0 {
            open.depth -= 1;
            return None;
        }
        self.close(false)
    }

    /// Ends the open card, if there is one.
    fn close(&mut self, end_missing: bool) -> Option<Result<Card, CardProblem>> {
        let open = self.open.take()?;
        let problem = |reason| CardProblem {
            index: self.index,
            line: open.line,
            reason,
        };
        if end_missing {
            return Some(Err(problem(CardRefusal::EndMissing)));
        }
        if open.too_large {
            return Some(Err(problem(CardRefusal::TooLarge)));
        }
        let lines: Vec<Line> = open
            .lines
            .iter()
            .filter_map(|line| Line::parse(line))
            .collect();
        Some(match import::record(&lines) {
            Ok(read) => Ok(Card {
                index: self.index,
                line: open.line,
                version: read.version,
                record: read.record,
                dropped: read.dropped,
            }),
            Err(reason) => Err(problem(reason)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, chunk: usize) -> Vec<Result<Card, CardProblem>> {
        let mut reader = Reader::new();
        let mut results = Vec::new();
        for part in text.as_bytes().chunks(chunk) {
            reader.feed(part);
            results.extend(std::iter::from_fn(|| reader.next_card()));
        }
        reader.finish();
        results.extend(std::iter::from_fn(|| reader.next_card()));
        results
    }

    fn reasons(text: &str) -> Vec<Option<CardRefusal>> {
        read(text, 7)
            .into_iter()
            .map(|result| result.err().map(|problem| problem.reason))
            .collect()
    }

    #[test]
    fn a_card_without_its_end_is_refused_and_the_next_is_read() {
        let text =
            "BEGIN:VCARD\nFN:A\nBEGIN:VCARD\nFN:B\n END:VCARD\nEND:VCARD\nBEGIN:VCARD\nFN:C\n";
        let missing = Some(CardRefusal::EndMissing);
        assert_eq!(reasons(text), [missing.clone(), None, missing]);
        assert_eq!(reasons("just text\n"), [Some(CardRefusal::NoCard)]);
        assert_eq!(reasons(""), [Some(CardRefusal::NoCard)]);
        assert_eq!(
            reasons("BEGIN:VCARD\nX-A:b\nEND:VCARD"),
            [Some(CardRefusal::Unidentified)]
        );
    }

    #[test]
    fn chunks_of_any_size_give_the_same_cards() {
        let text = "BEGIN:VCARD\r\nVERSION:2.1\r\nFN;ENCODING=QUOTED-PRINTABLE:Ada=20=\r\nL\r\n\
                    AGENT:\r\nBEGIN:VCARD\r\nFN:Agent\r\nEND:VCARD\r\n\
                    PHOTO;ENCODING=BASE64:AAAA\r\nBBBB\r\n\r\nTEL;CELL:+1\r\n 23\r\nEND:VCARD\r\n";
        let whole = read(text, text.len());
        let card = whole[0].as_ref().unwrap();
        assert_eq!(whole.len(), 1);
        assert_eq!(card.record.display_name, "Ada L");
        assert_eq!(card.record.phones[0].number, "+123");
        assert_eq!(card.dropped, ["AGENT", "PHOTO"]);
        for chunk in 1..40 {
            assert_eq!(read(text, chunk), whole);
        }
    }

    #[test]
    fn utf16_files_are_read() {
        let text = "\u{feff}BEGIN:VCARD\nFN:\u{4f60}\nEND:VCARD\n";
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut reader = Reader::new();
        reader.feed(&bytes);
        reader.finish();
        assert_eq!(
            reader.next_card().unwrap().unwrap().record.display_name,
            "\u{4f60}"
        );
    }

    #[test]
    fn an_overlong_card_is_refused_and_memory_stays_flat() {
        let mut reader = Reader::new();
        reader.feed(b"BEGIN:VCARD\nNOTE:");
        for _ in 0..64 {
            reader.feed(&vec![b'x'; 1 << 16]);
            assert!(reader.next_card().is_none());
            assert!(reader.buffered_len() <= CARD_LEN_MAX + (1 << 17));
        }
        reader.feed(b"\nEND:VCARD\nBEGIN:VCARD\nFN:B\nEND:VCARD\n");
        let first = reader.next_card().unwrap().unwrap_err();
        assert_eq!((first.index, first.reason), (1, CardRefusal::TooLarge));
        assert_eq!(reader.next_card().unwrap().unwrap().index, 2);
    }
}
