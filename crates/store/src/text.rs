//! Ranges of text, in the byte order of both engines.

/// The least text above all that start with `prefix`, in byte order, so that `column >= prefix AND
/// column < end` finds them by an index. None when there is no upper bound.
pub fn prefix_end(prefix: &str) -> Option<String> {
    let mut characters: Vec<char> = prefix.chars().collect();
    while let Some(last) = characters.pop() {
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            characters.push(next);
            return Some(characters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_end_of_a_prefix_is_above_all_that_start_with_it(prefix in ".{1,8}", rest in ".{0,8}") {
            if let Some(end) = prefix_end(&prefix) {
                let longer = prefix.clone() + &rest;
                prop_assert!(end > longer);
                prop_assert!(!end.starts_with(&prefix));
            }
        }
    }
}
