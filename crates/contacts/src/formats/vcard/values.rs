//! Values of content lines: lists, days, preferences, labels.

use super::line::{Line, split_unescaped, unescape};

/// A list of texts with commas between.
pub fn list(value: &str) -> Vec<String> {
    split_unescaped(value, ',')
        .into_iter()
        .map(|text| unescape(text).trim().to_owned())
        .collect()
}

/// How much a line is preferred: 1 most, 101 not at all.
pub fn preference(line: &Line) -> u32 {
    let by_number = line
        .values("PREF")
        .find_map(|number| number.trim().parse().ok());
    let mut words = line.values("TYPE").flat_map(|types| types.split(','));
    let by_type = words
        .any(|word| word.trim().eq_ignore_ascii_case("pref"))
        .then_some(1);
    by_number.or(by_type).unwrap_or(101)
}

pub fn preferred(preferences: &[u32]) -> Option<usize> {
    let (index, best) = preferences
        .iter()
        .enumerate()
        .min_by_key(|(_, preference)| **preference)?;
    (*best <= 100).then_some(index)
}

/// The label without the marks that Apple's programs put around the ones they translate.
pub fn plain_label(text: &str) -> String {
    match text
        .strip_prefix("_$!<")
        .and_then(|rest| rest.strip_suffix(">!$_"))
    {
        Some(known) if known.chars().all(char::is_alphanumeric) => known.to_lowercase(),
        Some(known) => known.to_owned(),
        None => text.to_owned(),
    }
}

/// A calendar day as `1980-03-21` or `--03-21`; any other text as it is.
pub fn day(line: &Line) -> String {
    let text = line.text().trim().to_owned();
    let omitted = line.values("X-APPLE-OMIT-YEAR").next();
    let (year, rest) = match text.strip_prefix("--") {
        Some(rest) => ("-", rest),
        None => match (text.get(..4), text.get(4..)) {
            (Some(year), Some(rest)) => (year, rest.strip_prefix('-').unwrap_or(rest)),
            _ => return text,
        },
    };
    let digits: String = match rest.as_bytes() {
        [_, _, b'-', _, _] => rest.replace('-', ""),
        [_, _, _, _] => rest.to_owned(),
        _ => return text,
    };
    let number = |range| digits.get(range).and_then(|n: &str| n.parse::<u32>().ok());
    let is_year = year == "-" || year.bytes().all(|b| b.is_ascii_digit());
    let is_day = digits.bytes().all(|b| b.is_ascii_digit())
        && number(0..2).is_some_and(|month| (1..=12).contains(&month))
        && number(2..4).is_some_and(|day| (1..=31).contains(&day));
    if !is_year || !is_day {
        return text;
    }
    let year = if omitted == Some(year) { "-" } else { year };
    format!("{year}-{}-{}", &digits[..2], &digits[2..])
}

pub fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_one_way() {
        let day_of = |text: &str| day(&Line::parse(text.as_bytes()).unwrap());
        assert_eq!(day_of("BDAY:19800321"), "1980-03-21");
        assert_eq!(day_of("BDAY:1980-03-21"), "1980-03-21");
        assert_eq!(day_of("BDAY:--0203"), "--02-03");
        assert_eq!(day_of("BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-03"), "--02-03");
        for odd in [
            "circa 1800",
            "1980",
            "--13-01",
            "\u{4f60}\u{597d}12-03",
            "1980-3-2",
            "19800321T10",
        ] {
            assert_eq!(day_of(&format!("BDAY:{odd}")), odd);
        }
    }
}
