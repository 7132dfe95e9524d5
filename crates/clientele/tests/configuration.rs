//! Where settings come from: flag, environment, file, default; and what is said about wrong ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A folder to run in, and what the environment says.
struct Place {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// How a command ended, and what it said on either output.
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            environment: Vec::new(),
        }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).expect("a file");
        path
    }

    fn set(&mut self, variable: &'static str, value: impl Into<String>) -> &mut Self {
        self.environment.push((variable, value.into()));
        self
    }

    fn run(&self, arguments: &str) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_clientele"))
            .args(arguments.split_whitespace())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .output()
            .expect("the binary runs");
        let (out, err) = (output.stdout, output.stderr);
        let said = [out, err].map(|bytes| String::from_utf8(bytes).expect("text"));
        Ended {
            code: output.status.code(),
            said: said.concat(),
        }
    }
}

/// The line that `config show` prints for a setting.
fn line<'a>(ended: &'a Ended, setting: &str) -> &'a str {
    assert_eq!(ended.code, Some(0), "{}", ended.said);
    let prefixes = [format!("{setting}: "), format!("# {setting}: ")];
    let mut lines = ended.said.lines();
    lines
        .find(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)))
        .unwrap_or_default()
}

#[track_caller]
fn shows(ended: &Ended, setting: &str, value: &str, origin: &str) {
    let line = line(ended, setting);
    let expected = format!("{setting}: {value} ");
    let said = line.trim_start_matches("# ");
    assert!(said.starts_with(&expected), "{expected:?}: {line:?}");
    assert!(line.ends_with(&format!("# {origin}")), "{origin}: {line:?}");
}

#[track_caller]
fn refuses(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    for word in words {
        assert!(ended.said.contains(word), "{word:?}: {}", ended.said);
    }
}

#[test]
fn a_flag_prevails_over_the_environment_and_that_over_the_file() {
    let mut place = Place::new();
    shows(&place.run("config show up"), "pool-max", "16", "default");

    place.file(
        "c.yaml",
        "# of this machine\npool-max: 3\nlog-format: json\n",
    );
    let shown = place.run("config show up --config c.yaml");
    shows(&shown, "pool-max", "3", "c.yaml, line 2");
    shows(&shown, "log-format", "json", "c.yaml, line 3");

    place.set("CLIENTELE_CONFIG", "c.yaml");
    place.set("CLIENTELE_POOL_MAX", "5");
    let shown = place.run("config show up");
    shows(
        &shown,
        "pool-max",
        "5",
        "the environment, CLIENTELE_POOL_MAX",
    );
    shows(&shown, "log-format", "json", "c.yaml, line 3");

    let shown = place.run("config show up --pool-max 7");
    shows(&shown, "pool-max", "7", "the command line");
}

#[test]
fn switches_and_lists_stand_in_files_too() {
    let mut place = Place::new();
    let file = "database-url: sqlite:a.db\nmigrate: true\nreflection: false\n\
                jwks: keys.json\nissuer: 'a: b'\naudience: x\ntls-certificate: c\ntls-key: k\nclient-ca: ca\n\
                service-san:\n  - billing=spiffe://a/billing\n  - contacts=spiffe://a/contacts\n";
    place.file("c.yaml", file);
    let shown = place.run("config show serve contacts --config c.yaml");
    shows(&shown, "migrate", "true", "c.yaml, line 2");
    shows(&shown, "reflection", "false", "c.yaml, line 3");
    shows(&shown, "issuer", "'a: b'", "c.yaml, line 5");
    let list = "['billing=spiffe://a/billing', 'contacts=spiffe://a/contacts']";
    shows(&shown, "service-san", list, "c.yaml, line 10");
    // What is shown can be said again.
    place.file(
        "again.yaml",
        &format!("{}database-url: sqlite:a.db\n", shown.said),
    );
    let again = place.run("config show serve contacts --config again.yaml");
    let again = line(&again, "service-san");
    assert!(
        again.contains(list) && again.contains("again.yaml"),
        "{again}"
    );

    place.set("CLIENTELE_MIGRATE", "false");
    let shown = place.run("config show serve contacts --config c.yaml");
    shows(
        &shown,
        "migrate",
        "false",
        "the environment, CLIENTELE_MIGRATE",
    );
    let one = "--service-san contacts=spiffe://b/contacts";
    let shown = place.run(&format!("config show serve contacts --config c.yaml {one}"));
    shows(
        &shown,
        "service-san",
        "['contacts=spiffe://b/contacts']",
        "the command line",
    );
}

#[test]
fn what_a_file_says_wrong_is_named_with_its_line() {
    let place = Place::new();
    for (content, words) in [
        (
            "log: info\nlisten-on: x\n",
            ["c.yaml: line 2", "listen-on", "did you mean listen?"],
        ),
        ("\n\nquux: 1\n", ["line 3", "quux", "docs/configuration.md"]),
        ("config: other.yaml\n", ["line 1", "config", "no setting"]),
        (
            "migrate: true\n",
            ["line 1", "migrate", "a setting of `clientele serve`"],
        ),
        ("log: warn\nlog: info\n", ["line 2", "log", "again"]),
        ("listen:\n", ["line 1", "listen", "no value"]),
        ("listen: [a, b]\n", ["line 1", "listen", "single value"]),
        ("service-san: x\n", ["line 1", "service-san", "list"]),
        (
            "insecure-plaintext-behind-mesh: perhaps\n",
            ["line 1", "mesh", "true or false"],
        ),
        ("log: info\n  - : [\n", ["c.yaml", "line 2", "not YAML"]),
        (
            "pool-max: 500\n",
            ["--pool-max", "not in 1..=200", "c.yaml, line 1"],
        ),
        (
            "log-format: loud\n",
            ["--log-format", "\"loud\"", "known are auto, text, json"],
        ),
        ("jwks: keys.json\n", ["--issuer", "--audience", "--jwks"]),
    ] {
        place.file("c.yaml", content);
        refuses(&place.run("up --config c.yaml"), &words);
    }
    refuses(
        &place.run("up --config none.yaml"),
        &["--config", "none.yaml"],
    );
}

#[test]
fn a_wrong_value_is_named_with_who_said_it() {
    let mut place = Place::new();
    place.set("CLIENTELE_GRACE_MS", "soon");
    refuses(
        &place.run("up"),
        &["--grace-ms", "soon", "CLIENTELE_GRACE_MS"],
    );
    // A wrong variable is not passed over for what the file says.
    place.file("c.yaml", "grace-ms: 5\n");
    refuses(&place.run("up --config c.yaml"), &["CLIENTELE_GRACE_MS"]);

    // What shows only later is named as well.
    let mut place = Place::new();
    place.set("CLIENTELE_LOG", "==");
    refuses(
        &place.run("up --listen 127.0.0.1:0"),
        &["--log: ", "CLIENTELE_LOG"],
    );
    place.file("c.yaml", "listen: 0.0.0.0:0\n");
    let mut place = Place::new();
    place.file("c.yaml", "listen: 0.0.0.0:0\n");
    place.set("CLIENTELE_CONFIG", "c.yaml");
    refuses(&place.run("up"), &["--listen: ", "c.yaml, line 1"]);
}

#[test]
fn a_secret_can_be_the_content_of_a_file() {
    let mut place = Place::new();
    place.file("url", "sqlite:secret.db\n");
    place.set("CLIENTELE_DATABASE_URL_FILE", "url");
    let shown = place.run("config show serve contacts");
    let origin = "the file url, named by the environment, CLIENTELE_DATABASE_URL_FILE";
    shows(&shown, "database-url", "a secret, not shown", origin);
    assert!(!shown.said.contains("secret.db"), "{}", shown.said);
    assert_eq!(place.run("migrate contacts").code, Some(0));
    assert!(place.folder.path().join("secret.db").is_file());

    // Said in the same way twice is a mistake; said with more weight, it counts.
    place.set("CLIENTELE_DATABASE_URL", "sqlite:other.db");
    let words = [
        "--database-url: ",
        "--database-url-file",
        "CLIENTELE_DATABASE_URL_FILE",
    ];
    refuses(&place.run("migrate contacts"), &words);
    let shown = place.run("config show serve contacts --database-url sqlite:third.db");
    shows(
        &shown,
        "database-url",
        "a secret, not shown",
        "the command line",
    );

    let place = Place::new();
    place.file("url", "sqlite:secret.db\r\n");
    place.file(
        "c.yaml",
        "database-url-file: url\nmigrate: true\npool-max: 4\n",
    );
    let migrated = place.run("migrate contacts --config c.yaml");
    assert_eq!(migrated.code, Some(0), "{}", migrated.said);
    assert!(is_file(&place, "secret.db"));
    let mut place = place;
    place.set("CLIENTELE_DATABASE_URL", "sqlite:other.db");
    assert_eq!(place.run("migrate contacts --config c.yaml").code, Some(0));
    assert!(is_file(&place, "other.db"));
}

fn is_file(place: &Place, name: &str) -> bool {
    Path::is_file(&place.folder.path().join(name))
}

#[test]
fn a_secret_is_in_no_message() {
    let mut place = Place::new();
    place.file("empty", "\n");
    refuses(
        &place.run("migrate contacts --database-url-file empty"),
        &["--database-url-file", "is empty"],
    );
    refuses(
        &place.run("migrate contacts --database-url-file none"),
        &["--database-url-file", "none: "],
    );
    place.file("url", "mysql://crm:hunter2@db/contacts");
    place.file("c.yaml", "database-url: mysql://crm:hunter2@db/contacts\n");
    place.file("bad.yaml", "database-url: [mysql://crm:hunter2@db\n");
    for arguments in [
        "--database-url-file url",
        "--config c.yaml",
        "--config bad.yaml",
    ] {
        let ended = place.run(&format!("migrate contacts {arguments}"));
        refuses(&ended, &[]);
        assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    }
    place.set("CLIENTELE_DATABASE_URL", "mysql://crm:hunter2@db/contacts");
    for command in ["migrate contacts", "serve contacts", "serve --help"] {
        let said = place.run(command).said;
        assert!(
            said.contains("database-url") && !said.contains("hunter2"),
            "{said}"
        );
    }
}
