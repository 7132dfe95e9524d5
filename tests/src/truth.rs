//! The folder of inputs and answers from outside, where there is one.

use std::path::PathBuf;

/// The folder named by `CLIENTELE_TRUTH`; `None` (said in one line) where it is not set.
///
/// # Panics
///
/// Panics when the variable names no folder: a wrong setting must not look like a passed test.
pub fn folder() -> Option<PathBuf> {
    let Some(path) = std::env::var_os("CLIENTELE_TRUTH").filter(|path| !path.is_empty()) else {
        println!("skipped: CLIENTELE_TRUTH is not set");
        return None;
    };
    let path = PathBuf::from(path);
    assert!(
        path.is_dir(),
        "CLIENTELE_TRUTH is set, but there is no folder at that path"
    );
    Some(path)
}
