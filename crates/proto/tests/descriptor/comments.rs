//! Claims about what the protos and the documentation say in words.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::assert_none;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_reason_has_its_page_and_every_page_its_reason() {
    let pages: BTreeSet<String> = fs::read_dir(repository().join("docs/reasons"))
        .expect("the pages")
        .map(|entry| {
            entry
                .expect("a page")
                .file_name()
                .to_string_lossy()
                .replace(".md", "")
        })
        .collect();
    let reasons: BTreeSet<String> = proto::reasons()
        .map(|reason| reason.wire_name().to_owned())
        .collect();
    assert_eq!(pages, reasons);
}

#[test]
fn every_page_tells_the_code_that_is_sent() {
    let mut faults = Vec::new();
    for reason in proto::reasons() {
        let name = reason.wire_name();
        let page = repository().join("docs/reasons").join(format!("{name}.md"));
        let text = fs::read_to_string(page).expect("the page");
        let code = format!("{:?}", reason.code());
        let words: String =
            code.chars()
                .enumerate()
                .fold(String::new(), |mut words, (at, letter)| {
                    if at > 0 && letter.is_uppercase() {
                        words.push('_');
                    }
                    words.push(letter.to_ascii_uppercase());
                    words
                });
        let parts = [format!("# {name}\n"), format!("Status code: `{words}`")];
        let headings = [
            "## What happened",
            "## Metadata",
            "## What to do",
            "## Example",
        ];
        let complete = parts
            .iter()
            .map(String::as_str)
            .chain(headings)
            .all(|part| text.contains(part));
        if !complete {
            faults.push(name.to_owned());
        }
    }
    assert_none("pages without the code or a part", faults);
}

/// Words such as ETAG_MISMATCH in `line`.
fn constants(line: &str) -> impl Iterator<Item = &str> {
    line.split(|letter: char| !letter.is_ascii_uppercase() && letter != '_')
        .filter(|word| word.trim_matches('_').contains('_'))
}

#[test]
fn comments_speak_only_of_reasons_and_values_that_exist() {
    const CODES: [&str; 3] = ["FAILED_PRECONDITION", "INVALID_ARGUMENT", "DATA_LOSS"];
    let mut known: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
    known.extend(proto::reasons().map(|reason| reason.wire_name().to_owned()));
    for declared in proto::pool().all_enums() {
        let prefix = declared
            .get_value(0)
            .map(|zero| zero.name().replace("UNSPECIFIED", ""));
        for value in declared.values() {
            let short = value
                .name()
                .strip_prefix(prefix.as_deref().unwrap_or_default());
            known.extend(
                [Some(value.name()), short]
                    .into_iter()
                    .flatten()
                    .map(str::to_owned),
            );
        }
    }
    let mut faults = Vec::new();
    for package in ["contacts", "pipeline", "billing"] {
        let folder = repository()
            .join("proto/clientele")
            .join(package)
            .join("v1");
        for entry in fs::read_dir(folder).expect("the protos") {
            let path = entry.expect("a proto").path();
            let text = fs::read_to_string(&path).expect("the proto");
            for line in text
                .lines()
                .filter(|line| line.trim_start().starts_with("//"))
            {
                let unknown = constants(line).filter(|word| !known.contains(*word));
                faults.extend(unknown.map(|word| format!("{}: {word}", path.display())));
            }
        }
    }
    assert_none(
        "words that look like a reason or value and are none",
        faults,
    );
}
