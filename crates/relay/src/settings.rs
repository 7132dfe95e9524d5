//! Where events go, and how they look there.

use std::fmt;
use std::path::PathBuf;

use async_nats::ServerAddr;

/// The longest prefix and stream name.
const NAME_MAX: usize = 64;

/// Where events go, and how they look there.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The NATS server.
    pub(crate) server: ServerAddr,
    /// A `.creds` file: the user's JWT and the seed of its key.
    pub credentials_file: Option<PathBuf>,
    /// A PEM file with the authorities of the server's certificate; those that the system trusts where
    /// none is given.
    pub authority_file: Option<PathBuf>,
    /// The certificate and its key, PEM files, that are shown to a server which asks for one. They are
    /// read again for each connection.
    pub certificate_files: Option<(PathBuf, PathBuf)>,
    /// How data is encoded.
    pub format: Format,
    /// What the subjects begin with on which the server answers.
    pub(crate) inbox: String,
    /// What all subjects begin with.
    pub(crate) prefix: String,
    /// The stream that keeps the events.
    pub(crate) stream: String,
    /// On how many servers of a cluster a stream that is made here is.
    pub(crate) replicas: usize,
}

/// How the data of events is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `application/protobuf`: the message in its binary form.
    #[default]
    Protobuf,
    /// `application/json`: the same message in protobuf's JSON form.
    Json,
}

/// A setting that can't be meant. The text never repeats the setting's value, which may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SettingError {
    /// Which one it is.
    pub setting: Setting,
    problem: String,
}

/// The settings that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The server's address.
    Url,
    /// The credentials file.
    Credentials,
    /// The file with the server's authorities.
    Authority,
    /// The certificate that is shown to the server.
    Certificate,
    /// Its key.
    Key,
    /// Where the server answers.
    Inbox,
    /// What subjects begin with.
    Prefix,
    /// The stream's name.
    Stream,
    /// The stream's replicas.
    Replicas,
}

impl Settings {
    /// What all subjects begin with, where nothing else is said.
    pub const PREFIX: &str = "clientele";
    /// The stream's name, where nothing else is said.
    pub const STREAM: &str = "CLIENTELE";
    /// What the subjects begin with on which the server answers, where nothing else is said.
    pub const INBOX: &str = "_INBOX_clientele";
    /// The replicas that JetStream has for a stream: an odd number, of which more than half decide.
    const REPLICAS: [usize; 3] = [1, 3, 5];

    /// The settings for the server at `url` (`nats://` or `tls://`), the rest as it is where nothing is
    /// said.
    ///
    /// ```
    /// let settings = relay::Settings::new("nats://127.0.0.1:4222").unwrap();
    /// assert_eq!(settings.format, relay::Format::Protobuf);
    /// assert!(relay::Settings::new("http://127.0.0.1:4222").is_err());
    /// ```
    pub fn new(url: &str) -> Result<Self, SettingError> {
        let problem = |problem: &str| SettingError::new(Setting::Url, problem);
        let server: ServerAddr = url
            .parse()
            .map_err(|_| problem("must be nats://HOST:PORT or tls://HOST:PORT"))?;
        let host = server.clone().into_inner();
        if !matches!(server.scheme(), "nats" | "tls") || host.host_str().is_none_or(str::is_empty) {
            return Err(problem("must be nats://HOST:PORT or tls://HOST:PORT"));
        }
        if server.username().is_some() || server.password().is_some() {
            return Err(problem(
                "must have no user in it, others can see command lines: give a credentials file",
            ));
        }
        Ok(Self {
            server,
            credentials_file: None,
            authority_file: None,
            certificate_files: None,
            inbox: Self::INBOX.to_owned(),
            format: Format::default(),
            prefix: Self::PREFIX.to_owned(),
            stream: Self::STREAM.to_owned(),
            replicas: 1,
        })
    }

    /// The same with another prefix: words of letters, digits, `-` and `_` with dots between them.
    pub fn with_prefix(mut self, prefix: &str) -> Result<Self, SettingError> {
        are_words(prefix, Setting::Prefix)?;
        prefix.clone_into(&mut self.prefix);
        Ok(self)
    }

    /// The same with answers of the server on subjects that begin otherwise, in words as those of a prefix.
    ///
    /// Whoever may listen there reads what the server tells this user, so no two users should share it, and
    /// a server's permissions can hold them to that.
    pub fn with_inbox(mut self, inbox: &str) -> Result<Self, SettingError> {
        are_words(inbox, Setting::Inbox)?;
        inbox.clone_into(&mut self.inbox);
        Ok(self)
    }

    /// The same with another stream: a word of letters, digits, `-` and `_`.
    pub fn with_stream(mut self, stream: &str) -> Result<Self, SettingError> {
        if stream.len() > NAME_MAX || !is_word(stream) {
            let problem = format!(
                "must be a word of letters, digits, - and _, at most {NAME_MAX} characters"
            );
            return Err(SettingError::new(Setting::Stream, problem));
        }
        stream.clone_into(&mut self.stream);
        Ok(self)
    }

    /// The same with a stream on 1, 3 or 5 servers, where it is made here. One that is there stays as it
    /// is.
    pub fn with_replicas(mut self, replicas: usize) -> Result<Self, SettingError> {
        if !Self::REPLICAS.contains(&replicas) {
            let problem = "must be 1, 3 or 5: more than half of them decide";
            return Err(SettingError::new(Setting::Replicas, problem));
        }
        self.replicas = replicas;
        Ok(self)
    }
}

impl SettingError {
    pub(crate) fn new(setting: Setting, problem: impl fmt::Display) -> Self {
        Self {
            setting,
            problem: problem.to_string(),
        }
    }
}

/// Refuses what can't be the beginning of a subject.
fn are_words(text: &str, setting: Setting) -> Result<(), SettingError> {
    if text.len() <= NAME_MAX && text.split('.').all(is_word) {
        return Ok(());
    }
    let problem = format!(
        "must be words of letters, digits, - and _ with dots between them, at most {NAME_MAX} characters"
    );
    Err(SettingError::new(setting, problem))
}

/// Whether a text is one word of a subject, without wildcards.
fn is_word(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_of_nats_and_hold_no_credentials() {
        for url in [
            "nats://127.0.0.1:4222",
            "tls://nats.example:4222",
            "localhost",
        ] {
            assert!(Settings::new(url).is_ok(), "{url}");
        }
        for url in [
            "http://127.0.0.1",
            "ws://127.0.0.1",
            "nats://user:secret@127.0.0.1",
            "nats://secret@127.0.0.1",
            "nats://:secret@127.0.0.1",
            "",
            "nats://",
        ] {
            let error = Settings::new(url).expect_err(url);
            assert_eq!(error.setting, Setting::Url);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn names_hold_no_wildcards_and_streams_no_dots() {
        let settings = || Settings::new("nats://127.0.0.1").expect("settings");
        for prefix in ["a", "clientele", "acme.crm-2", "A_b.c"] {
            assert!(settings().with_prefix(prefix).is_ok(), "{prefix}");
        }
        for prefix in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a.*",
            ">",
            "a b",
            "é",
            "$JS",
            &"x".repeat(65),
        ] {
            let error = settings().with_prefix(prefix).expect_err(prefix);
            assert_eq!(error.setting, Setting::Prefix);
            let error = settings().with_inbox(prefix).expect_err(prefix);
            assert_eq!(error.setting, Setting::Inbox);
        }
        assert!(settings().with_stream("CRM_2").is_ok());
        for stream in ["", "a.b", "a b", "*", "a/b"] {
            let error = settings().with_stream(stream).expect_err(stream);
            assert_eq!(error.setting, Setting::Stream);
        }
    }

    #[test]
    fn replicas_are_an_odd_number_up_to_five() {
        let settings = || Settings::new("nats://127.0.0.1").expect("settings");
        for replicas in [1, 3, 5] {
            let settings = settings().with_replicas(replicas).expect("settings");
            assert_eq!(settings.replicas, replicas);
        }
        for replicas in [0, 2, 4, 6, 7] {
            let error = settings().with_replicas(replicas).expect_err("refused");
            assert_eq!(error.setting, Setting::Replicas);
        }
    }
}
