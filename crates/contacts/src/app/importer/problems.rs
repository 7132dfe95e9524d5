//! What is said of a row: as much as helps, whatever the file holds.

/// How many problems of a row are told one by one.
const PROBLEMS_MAX: usize = 20;

/// How many characters of a problem are kept.
const PROBLEM_CHARS_MAX: usize = 300;

/// Problems of a row, of which only the first ones are kept.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    kept: Vec<String>,
    more: usize,
}

impl Problems {
    /// Adds one, whose text is only made where it is kept.
    pub fn push(&mut self, text: impl FnOnce() -> String) {
        if self.kept.len() == PROBLEMS_MAX {
            self.more += 1;
            return;
        }
        let text = text();
        self.kept
            .push(match text.char_indices().nth(PROBLEM_CHARS_MAX) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            });
    }

    /// Counts problems that were found and not told.
    pub fn omit(&mut self, count: usize) {
        self.more += count;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The texts, with how many more there were.
    pub fn into_texts(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("and {} more", self.more));
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_problems_are_kept_and_the_others_counted() {
        let mut problems = Problems::default();
        assert!(problems.is_empty());
        for number in 0..PROBLEMS_MAX + 3 {
            problems.push(|| number.to_string());
        }
        problems.omit(4);
        let texts = problems.into_texts();
        assert_eq!(texts.len(), PROBLEMS_MAX + 1);
        assert_eq!(texts[PROBLEMS_MAX - 1..], ["19", "and 7 more"]);
    }

    #[test]
    fn long_problems_are_cut_between_characters() {
        let mut problems = Problems::default();
        problems.push(|| "\u{df}".repeat(PROBLEM_CHARS_MAX));
        problems.push(|| "\u{df}".repeat(PROBLEM_CHARS_MAX + 1));
        let texts = problems.into_texts();
        assert_eq!(texts[1], format!("{}...", texts[0]));
    }
}
