//! Content lines: `group.NAME;PARAMETER=value:value`, with the old encodings undone.

use std::borrow::Cow;
use std::fmt::Write as _;

use encoding_rs::Encoding;

/// The octets after which a written line is folded (RFC 6350, 3.2).
const FOLD_LEN: usize = 75;

/// A content line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The group, empty where there is none.
    pub group: String,
    /// The property in upper case.
    pub name: String,
    /// Parameters in order, names in upper case; a bare word of vCard 2.1 is a TYPE.
    pub params: Vec<(String, Vec<String>)>,
    /// The value as text, still with its backslashes.
    pub value: String,
    /// Whether the value was or is bytes in base 64.
    pub is_binary: bool,
}

impl Line {
    /// Reads an unfolded line; None where it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let colon = unquoted(bytes, b':').next()?;
        let head = text_of(&bytes[..colon], None);
        let mut parts = split_unquoted(&head, ';').into_iter();
        let full_name = parts.next()?;
        let (group, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        if !is_word(name.trim()) || !(group.is_empty() || is_word(group.trim())) {
            return None;
        }
        let mut line = Self {
            group: group.trim().to_owned(),
            name: name.trim().to_ascii_uppercase(),
            params: parts.map(parameter).collect(),
            value: String::new(),
            is_binary: false,
        };
        line.take_value(&bytes[colon + 1..]);
        Some(line)
    }

    /// The values of all parameters of this name.
    pub fn values<'a>(&'a self, param: &'a str) -> impl Iterator<Item = &'a str> {
        self.params
            .iter()
            .filter(move |(name, _)| name == param)
            .flat_map(|(_, values)| values.iter().map(String::as_str))
    }

    /// The value without its backslashes.
    pub fn text(&self) -> String {
        unescape(&self.value)
    }

    /// The components of a structured value, still with their backslashes.
    pub fn components(&self) -> Vec<&str> {
        split_unescaped(&self.value, ';')
    }

    /// The line in one piece, its value free of line breaks.
    pub fn unfolded(&self) -> String {
        let mut text = String::new();
        if !self.group.is_empty() {
            text.push_str(&self.group);
            text.push('.');
        }
        text.push_str(&self.name);
        for (name, values) in &self.params {
            let _ = write!(text, ";{name}=");
            for (index, value) in values.iter().enumerate() {
                let plain = !value.contains([':', ';', ',']);
                let separator = if index > 0 { "," } else { "" };
                let _ = if plain {
                    write!(text, "{separator}{value}")
                } else {
                    write!(text, "{separator}\"{value}\"")
                };
            }
        }
        text.push(':');
        text.push_str(&without_breaks(&self.value));
        text
    }

    /// Undoes transfer encoding and charset, and drops the parameters that announced them.
    fn take_value(&mut self, bytes: &[u8]) {
        let has = |line: &Self, wanted: &[&str]| {
            line.values("ENCODING")
                .any(|e| wanted.iter().any(|w| e.eq_ignore_ascii_case(w)))
        };
        self.is_binary = has(self, &["b", "base64"]);
        let is_quoted = has(self, &["quoted-printable", "q"]);
        let charset = self
            .values("CHARSET")
            .next()
            .and_then(|n| Encoding::for_label(n.as_bytes()));
        self.value = if is_quoted {
            text_of(&quoted_printable(bytes), charset).into_owned()
        } else {
            text_of(bytes, charset).into_owned()
        };
        let keep_encoding = self.is_binary;
        self.params
            .retain(|(name, _)| name != "CHARSET" && (keep_encoding || name != "ENCODING"));
    }
}

/// Appends a line in pieces of at most 75 octets.
pub fn fold(line: &str, out: &mut String) {
    let mut room = FOLD_LEN;
    for c in line.chars() {
        if c.len_utf8() > room {
            out.push_str("\r\n ");
            room = FOLD_LEN - 1;
        }
        out.push(c);
        room -= c.len_utf8();
    }
    out.push_str("\r\n");
}

/// A text as a value: separators escaped, line breaks written `\n`, other control characters left
/// out, so that no text can end its line or begin another property.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push_str("\\n");
            }
            '\n' => out.push_str("\\n"),
            '\\' | ';' | ',' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_ascii_control() && c != '\t' => {}
            c => out.push(c),
        }
    }
    out
}

/// A value as text. An escape that no version defines stays as it is.
pub fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n' | 'N') => out.push('\n'),
            Some(c @ ('\\' | ';' | ',' | ':')) => out.push(c),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// The pieces between separators that have no backslash before them.
pub fn split_unescaped(value: &str, separator: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (index, c) in value.char_indices() {
        if c == separator && !escaped {
            pieces.push(&value[start..index]);
            start = index + c.len_utf8();
        }
        escaped = c == '\\' && !escaped;
    }
    pieces.push(&value[start..]);
    pieces
}

fn parameter(text: &str) -> (String, Vec<String>) {
    let bare = |value: &str| value.trim().trim_matches('"').to_owned();
    if let Some((name, values)) = text.split_once('=') {
        let values = split_unquoted(values, ',').into_iter();
        return (name.trim().to_ascii_uppercase(), values.map(bare).collect());
    }
    let word = bare(text);
    let encodings = ["quoted-printable", "base64", "8bit", "7bit"];
    let is_encoding = encodings
        .iter()
        .any(|known| word.eq_ignore_ascii_case(known));
    (
        if is_encoding { "ENCODING" } else { "TYPE" }.to_owned(),
        vec![word],
    )
}

/// Where a byte stands outside quotation marks.
fn unquoted(bytes: &[u8], wanted: u8) -> impl Iterator<Item = usize> {
    let mut quoted = false;
    bytes.iter().enumerate().filter_map(move |(index, byte)| {
        quoted ^= *byte == b'"';
        (*byte == wanted && !quoted).then_some(index)
    })
}

fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    })
    .collect()
}

/// Text in the charset named, else in UTF-8, else in windows-1252.
fn text_of<'a>(bytes: &'a [u8], charset: Option<&'static Encoding>) -> Cow<'a, str> {
    if let Some(charset) = charset {
        return charset.decode_without_bom_handling(bytes).0;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(bytes)
                .0
        }
    }
}

/// Undoes quoted-printable. An encoded semicolon is part of the text, not a separator, so it gets a
/// backslash; what is not a valid code stays as it is.
fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let hex = |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while index < bytes.len() {
        match (
            bytes[index],
            hex(bytes.get(index + 1)),
            hex(bytes.get(index + 2)),
        ) {
            (b'=', Some(high), Some(low)) => {
                let byte = u8::try_from(high * 16 + low).unwrap_or(b'?');
                if byte == b';' {
                    out.push(b'\\');
                }
                out.push(byte);
                index += 3;
            }
            (byte, ..) => {
                out.push(byte);
                index += 1;
            }
        }
    }
    out
}

fn without_breaks(value: &str) -> Cow<'_, str> {
    if value.contains(['\r', '\n']) {
        Cow::Owned(value.replace("\r\n", "\\n").replace(['\r', '\n'], "\\n"))
    } else {
        Cow::Borrowed(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn all_three_versions_are_read() {
        let old = line("TEL;WORK;VOICE:123");
        assert_eq!(old.values("TYPE").collect::<Vec<_>>(), ["WORK", "VOICE"]);
        let new = line("item1.tel;VALUE=uri;TYPE=\"work,voice\":tel:+1;ext=2");
        assert_eq!((new.group.as_str(), new.name.as_str()), ("item1", "TEL"));
        assert_eq!(new.values("TYPE").collect::<Vec<_>>(), ["work,voice"]);
        assert_eq!(new.value, "tel:+1;ext=2");
        assert_eq!(line("X-A;P=\"a:b;c\":v").unfolded(), "X-A;P=\"a:b;c\":v");
        assert_eq!(Line::parse(b"no line"), None);
        assert_eq!(Line::parse(b": x"), None);
    }

    #[test]
    fn quoted_printable_and_charsets_are_undone() {
        let quoted = line("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8:Stra=C3=9Fe=0D=0A2=3B3");
        assert_eq!(quoted.text(), "Stra\u{df}e\r\n2;3");
        assert_eq!(quoted.unfolded(), "NOTE:Stra\u{df}e\\n2\\;3");
        assert_eq!(
            line("N;QUOTED-PRINTABLE:=DCnal;A=3Bb").components(),
            ["\u{dc}nal", "A\\;b"]
        );
        let latin = Line::parse(b"FN;CHARSET=ISO-8859-1:J\xfcrgen").unwrap();
        assert_eq!(latin.text(), "J\u{fc}rgen");
        assert_eq!(Line::parse(b"FN:J\xfcrgen").unwrap().text(), "J\u{fc}rgen");
    }

    #[test]
    fn escapes_survive_and_cannot_break_out() {
        for text in ["a;b,c\\d:e", "\\n", "\\", "line\nline", "x\\;y"] {
            assert_eq!(unescape(&escape(text)), text);
        }
        assert_eq!(escape("a\r\nEND:VCARD\rb\u{0}"), "a\\nEND:VCARD\\nb");
        assert_eq!(unescape("C:\\path http\\://x"), "C:\\path http://x");
        assert_eq!(
            split_unescaped("a\\;b;c\\\\;d", ';'),
            ["a\\;b", "c\\\\", "d"]
        );
    }

    #[test]
    fn folded_lines_are_at_most_75_octets() {
        let mut out = String::new();
        fold(&"\u{e4}".repeat(100), &mut out);
        assert!(out.lines().all(|line| line.len() <= FOLD_LEN));
        assert_eq!(
            out.replace("\r\n ", ""),
            format!("{}\r\n", "\u{e4}".repeat(100))
        );
    }
}
