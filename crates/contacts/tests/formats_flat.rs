//! Files of a million rows need the memory of a chunk, and what we write others can read.

use calcard::vcard::{VCard, VCardProperty};
use contacts::formats::csv::{self, Analyzer};
use contacts::formats::record::{ContactRecord, Email, Phone, PostalAddress};
use contacts::formats::vcard::{self, Version};

const ROWS: u64 = 1_000_000;

/// Feeds a generated file piece by piece; `piece` is asked for one row after the other.
fn chunks(head: &str, rows: u64, piece: impl Fn(u64) -> String) -> impl Iterator<Item = Vec<u8>> {
    let mut next = 0;
    let mut head = Some(head.to_owned());
    std::iter::from_fn(move || {
        let mut chunk = head.take().unwrap_or_default();
        while next < rows && chunk.len() < 1 << 16 {
            chunk.push_str(&piece(next));
            next += 1;
        }
        (!chunk.is_empty()).then(|| chunk.into_bytes())
    })
}

#[test]
fn a_million_rows_are_read_with_flat_memory() {
    let file = || {
        chunks("First Name,Email,Notes\r\n", ROWS, |n| {
            format!("Ada {n},a{n}@example.com,\"line\r\nline\"\r\n")
        })
    };
    let mut analyzer = Analyzer::new();
    file().for_each(|chunk| analyzer.feed(&chunk));
    let mut reader = csv::Reader::new(&analyzer.finish()).unwrap();
    let (mut rows, mut held_max) = (0, 0);
    for chunk in file() {
        reader.feed(&chunk);
        held_max = held_max.max(reader.buffered_len());
        while let Some(row) = reader.next_row() {
            let row = row.unwrap();
            assert_eq!(row.row, rows + 2);
            rows += 1;
        }
    }
    reader.finish();
    assert!(reader.next_row().is_none());
    assert_eq!(rows, ROWS);
    assert!(held_max < 1 << 17, "{held_max} bytes were held");
}

#[test]
fn many_cards_are_read_with_flat_memory() {
    let cards = ROWS / 10;
    let photo = "A".repeat(3000);
    let file = chunks("", cards, |n| {
        format!("BEGIN:VCARD\nVERSION:3.0\nFN:Ada {n}\nPHOTO;ENCODING=b:{photo}\nEND:VCARD\n")
    });
    let mut reader = vcard::Reader::new();
    let (mut count, mut held_max) = (0, 0);
    for chunk in file {
        reader.feed(&chunk);
        held_max = held_max.max(reader.buffered_len());
        while let Some(card) = reader.next_card() {
            count += 1;
            assert_eq!(card.unwrap().index, count);
        }
    }
    reader.finish();
    assert!(reader.next_card().is_none());
    assert_eq!(count, cards);
    assert!(held_max < 1 << 18, "{held_max} bytes were held");
}

#[test]
fn another_library_reads_our_cards() {
    let record = ContactRecord {
        display_name: "Ada, \"the first\"; L".into(),
        given_name: "Ada".into(),
        family_name: "L".into(),
        title: "Head of purchasing".into(),
        organization: "Example, Ltd".into(),
        emails: vec![Email {
            address: "ada@example.com".into(),
            label: "work".into(),
            primary: true,
        }],
        phones: vec![Phone {
            number: "+1 201 555 0123".into(),
            label: "cell,My own".into(),
            ..Phone::default()
        }],
        postal_addresses: vec![PostalAddress {
            address_lines: vec!["1 Long Road".into()],
            region_code: "DE".into(),
            ..PostalAddress::default()
        }],
        note: format!("A long line {}\nand another", "word ".repeat(40)),
        ..ContactRecord::default()
    };
    for version in [Version::V3, Version::V4] {
        let mut card = String::new();
        vcard::write_card(&record, version, &mut card);
        let read = VCard::parse(&card).unwrap();
        let text = |property: VCardProperty| {
            let entry = read
                .property(&property)
                .unwrap_or_else(|| panic!("{property:?}: {card}"));
            entry.values[0].as_text().unwrap().to_owned()
        };
        assert_eq!(text(VCardProperty::Fn), record.display_name);
        assert_eq!(text(VCardProperty::Email), "ada@example.com");
        assert_eq!(text(VCardProperty::Tel), "+1 201 555 0123");
        assert_eq!(text(VCardProperty::Org), "Example, Ltd");
        assert_eq!(text(VCardProperty::Title), "Head of purchasing");
        assert_eq!(text(VCardProperty::Note), record.note);
    }
}
