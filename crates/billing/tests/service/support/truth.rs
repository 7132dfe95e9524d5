//! Published figures to measure ours by.

/// A file of the truth folder; `None` where there is no such folder to read from.
#[expect(clippy::print_stdout, reason = "tests say what they leave out")]
pub fn truth(path: &str) -> Option<serde_json::Value> {
    let Some(root) = std::env::var_os("CLIENTELE_TRUTH") else {
        println!("CLIENTELE_TRUTH is not set: {path} is skipped");
        return None;
    };
    let file = std::path::PathBuf::from(root).join(path);
    let text = std::fs::read_to_string(&file).expect("CLIENTELE_TRUTH is set, so it is there");
    Some(serde_json::from_str(&text).expect("JSON"))
}
