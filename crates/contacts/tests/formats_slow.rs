//! Files made to be slow or to fill the memory: read like any other.

use contacts::formats::{csv, vcard};

#[test]
fn a_card_made_to_be_slow_is_read_like_any_other() {
    let many =
        |count: usize, line: &dyn Fn(usize) -> String| -> String { (0..count).map(line).collect() };
    let folded = format!("X{}", many(300_000, &|_| "\n y".into()));
    let types = format!(
        "TEL;TYPE={}:123",
        many(100_000, &|number| format!("t{number},"))
    );
    let labelled = format!("a.X-ABLABEL:{}\n", "l".repeat(100_000));
    for body in [
        folded,
        types,
        many(100_000, &|number| format!("ROLE:{number}\n")),
        many(40_000, &|number| format!("X-PROPERTY-{number}:v\n")),
        labelled + &many(40_000, &|number| format!("a.TEL:12{number}\n")),
        many(30_000, &|number| {
            format!("g{number}.TEL:1\ng{number}.X-ABLABEL:l\n")
        }),
    ] {
        let file = format!("BEGIN:VCARD\nFN:Ada\n{body}\nEND:VCARD\n");
        let mut reader = vcard::Reader::new();
        reader.feed(file.as_bytes());
        reader.finish();
        let record = reader.next_card().unwrap().unwrap().record;
        assert_eq!(record.display_name, "Ada");
        let long = record.phones.iter().map(|phone| phone.label.len()).max();
        assert!(long.unwrap_or(0) <= 300);
    }
}

#[test]
fn a_row_made_to_be_slow_is_read_like_any_other() {
    let urls: Vec<String> = (0..60_000).map(|number| format!("u{number}")).collect();
    let cell = format!("Name,Website,Website\nAda,{},x\n", urls.join(" ::: "));
    let columns = 1_000;
    let headers: Vec<String> = (0..columns)
        .map(|number| format!("Custom Field {number} - Label,Custom Field {number} - Value"))
        .collect();
    let pairs = format!(
        "Name,{}\nAda{}\n",
        headers.join(","),
        ",size,1".repeat(columns)
    );
    for (file, urls, attributes) in [(cell, 101, 0), (pairs, 0, columns)] {
        let mut analyzer = csv::Analyzer::new();
        analyzer.feed(file.as_bytes());
        let mut reader = csv::Reader::new(&analyzer.finish()).unwrap();
        reader.feed(file.as_bytes());
        reader.finish();
        let record = reader.next_row().unwrap().unwrap().record;
        assert_eq!(record.display_name, "Ada");
        assert_eq!(
            (record.urls.len(), record.attributes.len()),
            (urls, attributes)
        );
    }
}
