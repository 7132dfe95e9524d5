//! Resume tokens of Watch streams: where one goes on, bound to what it watches.
//!
//! A place in a service's log is good for every Watch of it, for all of them see that log whole. What
//! is said with it is not: that a workspace's present state was told, or up to where.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::names::is_resource_id;
use crate::token::{Service, Token, TokenKind};

/// The parent of a Watch of all workspaces.
const ALL: &str = "-";

/// Where a Watch goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeToken {
    /// The place in the log.
    pub place: Token,
    /// What the place was told of; `None` where it is good for every Watch of the log.
    pub scope: Option<ResumeScope>,
}

/// What a resume token is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumeScope {
    /// The id of the workspace that was watched; `None` for all of them.
    pub workspace: Option<String>,
    /// Within the snapshot of the present state: after whom it goes on, by the ids of the workspace
    /// and the contact.
    pub after: Option<(String, String)>,
}

/// Why a text does not resume a Watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResumeFault {
    /// It is no resume token of this service.
    #[error("must be the resume token of a message of this method")]
    Malformed,
    /// It was given out for another parent.
    #[error(
        "must be a resume token of the same parent: one of another says nothing about this one"
    )]
    OtherParent,
}

impl ResumeToken {
    /// The token of a message that a Watch of one workspace, or of all, was told at `place`.
    #[must_use]
    pub fn of(place: Token, workspace: Option<&str>, after: Option<(String, String)>) -> Self {
        // All that happened in any workspace was told, so that the place alone says it.
        let bound = workspace.is_some() || after.is_some();
        let scope = bound.then(|| ResumeScope {
            workspace: workspace.map(str::to_owned),
            after,
        });
        Self { place, scope }
    }

    /// Reads the token with which a Watch of one workspace of `service`, or of all, is to go on: the
    /// place in the log, and after whom within the snapshot.
    pub fn read(
        text: &str,
        service: Service,
        workspace: Option<&str>,
    ) -> Result<(Token, Option<(String, String)>), ResumeFault> {
        let Self { place, scope } = text.parse()?;
        if place.service != service {
            return Err(ResumeFault::Malformed);
        }
        match scope {
            None => Ok((place, None)),
            Some(scope) if scope.workspace.as_deref() == workspace => Ok((place, scope.after)),
            Some(_) => Err(ResumeFault::OtherParent),
        }
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        let Some(scope) = &self.scope else {
            return Ok(());
        };
        let mut text = scope.workspace.clone().unwrap_or_else(|| ALL.to_owned());
        if let Some((workspace, contact)) = &scope.after {
            if scope.workspace.is_none() {
                text.extend(["/", workspace]);
            }
            text.extend(["/", contact]);
        }
        write!(f, ".{}", URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for ResumeToken {
    type Err = ResumeFault;

    fn from_str(text: &str) -> Result<Self, ResumeFault> {
        let (place, scope) = match text.split_once('.') {
            Some((place, scope)) => (place, Some(scope)),
            None => (text, None),
        };
        let place: Token = place.parse().map_err(|_| ResumeFault::Malformed)?;
        if place.kind != TokenKind::Resume {
            return Err(ResumeFault::Malformed);
        }
        let scope = scope
            .map(|scope| scope_of(scope).ok_or(ResumeFault::Malformed))
            .transpose()?;
        Ok(Self { place, scope })
    }
}

fn scope_of(text: &str) -> Option<ResumeScope> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let parts: Vec<&str> = text.split('/').collect();
    // What is no id is no place either, and not every engine can compare with it.
    let ids = parts.strip_prefix(&[ALL]).unwrap_or(&parts);
    if !ids.iter().all(|id| is_resource_id(id)) {
        return None;
    }
    let place = |workspace: &str, contact: &str| (workspace.to_owned(), contact.to_owned());
    match parts[..] {
        [ALL, workspace, contact] => Some(ResumeScope {
            workspace: None,
            after: Some(place(workspace, contact)),
        }),
        [workspace, contact] if workspace != ALL => Some(ResumeScope {
            workspace: Some(workspace.to_owned()),
            after: Some(place(workspace, contact)),
        }),
        [workspace] if workspace != ALL => Some(ResumeScope {
            workspace: Some(workspace.to_owned()),
            after: None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Token = Token {
        kind: TokenKind::Resume,
        service: Service::Contacts,
        epoch: 3,
        tx: 7,
        id: 9,
    };

    fn place(workspace: &str, contact: &str) -> (String, String) {
        (workspace.to_owned(), contact.to_owned())
    }

    #[test]
    fn a_token_resumes_the_watch_of_its_own_parent_only() {
        let (workspace, contact) = ("w".repeat(63), "c".repeat(63));
        let long = (workspace.as_str(), contact.as_str());
        for (workspace, after) in [
            (Some("w"), None),
            (Some("w"), Some(place("w", "c"))),
            (Some(long.0), Some(place(long.0, long.1))),
            (None, Some(place(long.0, long.1))),
        ] {
            let token = ResumeToken::of(PLACE, workspace, after.clone());
            let text = token.to_string();
            assert!(text.len() <= 400, "{}", text.len());
            assert_eq!(text.parse(), Ok(token));
            let read = |workspace| ResumeToken::read(&text, Service::Contacts, workspace);
            assert_eq!(read(workspace), Ok((PLACE, after)));
            for other in [
                Some("another"),
                if workspace.is_some() { None } else { Some("w") },
            ] {
                assert_eq!(read(other), Err(ResumeFault::OtherParent), "{other:?}");
            }
            let of_another = ResumeToken::read(&text, Service::Pipeline, workspace);
            assert_eq!(of_another, Err(ResumeFault::Malformed));
        }
    }

    #[test]
    fn a_place_in_the_log_resumes_every_watch() {
        let place = ResumeToken::of(PLACE, None, None).to_string();
        assert_eq!(place, PLACE.to_string());
        for workspace in [None, Some("w")] {
            let read = ResumeToken::read(&place, Service::Contacts, workspace);
            assert_eq!(read, Ok((PLACE, None)));
        }
    }

    #[test]
    fn junk_is_refused() {
        let scoped = |text: &str| format!("{PLACE}.{}", URL_SAFE_NO_PAD.encode(text));
        let consistency = Token {
            kind: TokenKind::Consistency,
            ..PLACE
        };
        for junk in [
            String::new(),
            "x".to_owned(),
            "AQ.AQ".to_owned(),
            consistency.to_string(),
            PLACE.to_string()[1..].to_owned(),
            format!("{PLACE}."),
            format!("{PLACE}.!"),
            scoped("-"),
            scoped("-/w"),
            scoped("w/"),
            scoped("/c"),
            scoped("w/c/d"),
            scoped("w/c\0"),
        ] {
            assert_eq!(
                junk.parse::<ResumeToken>(),
                Err(ResumeFault::Malformed),
                "{junk}"
            );
        }
    }
}
