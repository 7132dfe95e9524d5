//! NDJSON: a contact as proto JSON on each line.

use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use proto::contacts::v1;

/// The most bytes of a line; a longer one is refused.
pub const LINE_LEN_MAX: usize = 1 << 20;

/// The message that a line holds.
const CONTACT: &str = "clientele.contacts.v1.Contact";

/// Reads a file that is fed in chunks, line by line. Blank lines are passed over.
#[derive(Default)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
    line: i64,
    is_overlong: bool,
    ended: bool,
}

/// A line: its number from 1, and the contact or why there is none.
pub type Line = (i64, Result<v1::Contact, String>);

impl Reader {
    /// Takes the next bytes of the file. Ask for lines until there is none before the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// Says that the file has no more bytes.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// The next line; `None` until more bytes come or, after [`Reader::finish`], at the end.
    pub fn next_line(&mut self) -> Option<Line> {
        loop {
            let rest = &self.bytes[self.at..];
            let (line, used) = match rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => (&rest[..end], end + 1),
                None if self.ended && !rest.is_empty() => (rest, rest.len()),
                None => {
                    // The beginning of an overlong line is let go of, so that memory stays flat.
                    if rest.len() > LINE_LEN_MAX {
                        self.is_overlong = true;
                        self.bytes.clear();
                        self.at = 0;
                    }
                    return None;
                }
            };
            self.line += 1;
            let too_long = std::mem::take(&mut self.is_overlong) || line.len() > LINE_LEN_MAX;
            let is_blank = line.iter().all(u8::is_ascii_whitespace);
            let found = if too_long {
                Some(Err("the line is larger than 1 MiB".to_owned()))
            } else if is_blank {
                None
            } else {
                Some(parse(line))
            };
            self.at += used;
            if let Some(found) = found {
                return Some((self.line, found));
            }
        }
    }
}

fn descriptor() -> Option<MessageDescriptor> {
    proto::pool().get_message_by_name(CONTACT)
}

fn parse(line: &[u8]) -> Result<v1::Contact, String> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned())?;
    let descriptor = descriptor().ok_or("contacts can't be read now")?;
    let mut json = serde_json::Deserializer::from_str(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &options)
        .map_err(|error| plain(&error))?;
    json.end().map_err(|error| plain(&error))?;
    message
        .transcode_to()
        .map_err(|_| "the line is no contact".to_owned())
}

/// What is wrong with a line, without where in the line: that repeats nothing of the value.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let kind = if error.is_data() {
        "the line is no contact"
    } else {
        "the line is no JSON"
    };
    match text.strip_prefix("unrecognized field name ") {
        Some(rest) => {
            let name = rest.split(" at line").next().unwrap_or_default();
            format!("{kind}: there is no field {name}")
        }
        None => format!("{kind} (column {})", error.column()),
    }
}

/// Appends a contact as a line; false where it can't be written, which no stored contact is.
#[must_use]
pub fn write_line(contact: &v1::Contact, out: &mut Vec<u8>) -> bool {
    let Some(descriptor) = descriptor() else {
        return false;
    };
    let mut message = DynamicMessage::new(descriptor);
    let options = SerializeOptions::new().use_proto_field_name(false);
    let mut line = serde_json::Serializer::new(Vec::new());
    let is_written = message.transcode_from(contact).is_ok()
        && message.serialize_with_options(&mut line, &options).is_ok();
    if is_written {
        out.extend_from_slice(&line.into_inner());
        out.push(b'\n');
    }
    is_written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &[u8], chunk: usize) -> Vec<Line> {
        let mut reader = Reader::default();
        let mut found = Vec::new();
        for part in file.chunks(chunk) {
            reader.feed(part);
            while let Some(line) = reader.next_line() {
                found.push(line);
            }
        }
        reader.finish();
        while let Some(line) = reader.next_line() {
            found.push(line);
        }
        found
    }

    #[test]
    fn lines_are_read_in_any_chunks() {
        let file = b"{\"displayName\":\"Ada\"}\n\n{\"given_name\":\"Al\"}\r\nnonsense\n\
            {\"colour\":1}\n{\"displayName\":\"Last\"}";
        for chunk in [1, 7, 1000] {
            let found = lines(file, chunk);
            let numbers: Vec<i64> = found.iter().map(|(line, _)| *line).collect();
            assert_eq!(numbers, [1, 3, 4, 5, 6]);
            assert!(matches!(&found[0].1, Ok(contact) if contact.display_name == "Ada"));
            assert!(matches!(&found[1].1, Ok(contact) if contact.given_name == "Al"));
            assert!(found[2].1.is_err() && found[3].1.is_err());
            assert!(found[4].1.is_ok());
        }
    }

    #[test]
    fn an_overlong_line_is_refused_and_the_next_one_read() {
        let mut file = b"{\"note\":\"".to_vec();
        file.extend(std::iter::repeat_n(b'x', LINE_LEN_MAX + 10));
        file.extend_from_slice(b"\"}\n{\"displayName\":\"Ada\"}\n");
        let found = lines(&file, 100_000);
        assert_eq!(found.len(), 2);
        assert!(found[0].1.is_err() && found[1].1.is_ok());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let contact = v1::Contact {
            name: "workspaces/w/contacts/ada".into(),
            display_name: "Ada \"L\"\n".into(),
            labels: [("tier".to_owned(), "gold".to_owned())].into(),
            create_time: Some(prost_types::Timestamp {
                seconds: 1,
                nanos: 500,
            }),
            ..v1::Contact::default()
        };
        let mut file = Vec::new();
        assert!(write_line(&contact, &mut file));
        assert_eq!(lines(&file, 10), [(1, Ok(contact))]);
    }
}
