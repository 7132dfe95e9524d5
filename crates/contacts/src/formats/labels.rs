//! Categories, groups and tags of other programs as labels of ours, and back.
//!
//! A category is a text, a label a key with a text. The category becomes the label's text and its
//! key is made of the letters and digits of the text, so `Key accounts` is the label
//! `key-accounts = Key accounts`. A label whose key is not made of its text is written `key=text`.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// The most characters of a label's key.
const KEY_LEN_MAX: usize = 63;

/// Adds a category to labels.
pub fn add_category(labels: &mut BTreeMap<String, String>, category: &str) {
    if let Some((key, text)) = category.split_once('=')
        && is_key(key)
        && labels.get(key).is_none_or(|known| known == text)
    {
        labels.insert(key.to_owned(), text.to_owned());
        return;
    }
    let plain = key_of(category);
    let key = match labels.get(&plain) {
        Some(known) if known != category => distinct_key(&plain, category),
        _ => plain,
    };
    labels.insert(key, category.to_owned());
}

/// The labels as categories, in the order of their keys.
pub fn categories(labels: &BTreeMap<String, String>) -> impl Iterator<Item = String> + '_ {
    labels.iter().map(|(key, text)| {
        let reads_as_pair = text.split_once('=').is_some_and(|(start, _)| is_key(start));
        if *key == key_of(text) && !reads_as_pair {
            text.clone()
        } else {
            format!("{key}={text}")
        }
    })
}

/// Whether a text is a label's key: `^[a-z][a-z0-9_-]{0,62}$`.
pub fn is_key(text: &str) -> bool {
    text.len() <= KEY_LEN_MAX
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}

/// The letters and digits of a text in lower case, with single hyphens for what is between them.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

fn key_of(text: &str) -> String {
    let slug = slug(text);
    if is_key(&slug) {
        slug
    } else {
        distinct_key(&slug, text)
    }
}

/// A key that differs for every text: the beginning of `base` with a part of the text's digest.
fn distinct_key(base: &str, text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let tail = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let start: String = base.chars().take(KEY_LEN_MAX - 15).collect();
    if is_key(&start) {
        format!("{start}-{tail:08x}")
    } else {
        format!("label-{start}-{tail:08x}")
    }
    .replace("--", "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels_of(categories: &[&str]) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for category in categories {
            add_category(&mut labels, category);
        }
        labels
    }

    #[test]
    fn every_category_gets_a_key_of_its_own() {
        let labels = labels_of(&[
            "VIP",
            "vip",
            "\u{41a}\u{43b}\u{438}\u{435}\u{43d}\u{442}",
            "2024",
            "VIP",
        ]);
        assert_eq!(labels.len(), 4);
        assert_eq!(labels["vip"], "VIP");
        assert!(labels.keys().all(|key| is_key(key)), "{labels:?}");
    }

    #[test]
    fn labels_survive_being_categories() {
        let long = "x".repeat(200);
        let mut labels = labels_of(&["VIP", "vip", "Key accounts", "tier=gold", &long, "", "-=-"]);
        labels.insert("odd".into(), "tier=gold".into());
        let written: Vec<String> = categories(&labels).collect();
        let mut read = BTreeMap::new();
        for category in &written {
            add_category(&mut read, category);
        }
        assert_eq!(read, labels);
        assert!(written.contains(&"Key accounts".to_owned()));
        assert!(written.contains(&"tier=gold".to_owned()));
    }
}
