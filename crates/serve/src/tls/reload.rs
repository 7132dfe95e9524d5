//! Something that is made of files, and made anew as they change.
//!
//! The contents are compared and not the times of the files: Kubernetes replaces a mounted secret by
//! a symbolic link, and some tools keep times. The files are small, so each look reads them whole.
//!
//! Invariant: what could be used is replaced only by what can be used.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::digest;
use tokio::task::AbortHandle;

use super::{Part, TlsError};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The files, by what each is for.
pub(super) type Files = Vec<(Part, PathBuf)>;

/// The text of each file, in their order.
pub(super) struct Texts<'a>(&'a [(Part, PathBuf)], Vec<Vec<u8>>);

impl Texts<'_> {
    /// The path and the text of a file of this kind.
    pub(super) fn of(&self, part: Part) -> Option<(&Path, &[u8])> {
        let place = self.0.iter().position(|(of, _)| *of == part)?;
        Some((&self.0[place].1, &self.1[place]))
    }
}

/// What was made of the files, last and before that. Dropping it ends the watching.
pub(super) struct Reloaded<T> {
    shared: Arc<Shared<T>>,
    task: Option<AbortHandle>,
}

struct Shared<T> {
    versions: RwLock<(Arc<T>, Option<Arc<T>>)>,
    number: AtomicU64,
}

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Makes the first, which must succeed, and looks after the files from now on; `name` says in the
    /// log what was made. Must be called within a tokio runtime.
    pub(super) async fn start<M>(
        name: &'static str,
        files: Files,
        make: M,
    ) -> Result<Self, TlsError>
    where
        M: Fn(&Texts<'_>) -> Result<T, TlsError> + Send + 'static,
    {
        let (texts, digest) = read(&files).await?;
        let first = make(&Texts(&files, texts))?;
        let shared = Arc::new(Shared {
            versions: RwLock::new((Arc::new(first), None)),
            number: AtomicU64::new(0),
        });
        let task = (!files.is_empty()).then(|| {
            let watch = watch(Arc::clone(&shared), name, files, make, digest);
            tokio::spawn(watch).abort_handle()
        });
        Ok(Self { shared, task })
    }

    /// What was made last.
    pub(super) fn current(&self) -> Arc<T> {
        Arc::clone(&self.shared.read().0)
    }

    /// What was made last, and what was made before it.
    pub(super) fn versions(&self) -> (Arc<T>, Option<Arc<T>>) {
        self.shared.read().clone()
    }

    /// Rises each time something new was made.
    pub(super) fn number(&self) -> u64 {
        self.shared.number.load(Ordering::Acquire)
    }
}

impl<T> Drop for Reloaded<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl<T> Shared<T> {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, (Arc<T>, Option<Arc<T>>)> {
        self.versions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn replace(&self, made: T) {
        let mut versions = self
            .versions
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut versions.0, Arc::new(made));
        versions.1 = Some(before);
        self.number.fetch_add(1, Ordering::Release);
    }
}

/// A state of the files that can't be used.
#[derive(PartialEq, Eq)]
struct Refused {
    error: TlsError,
    digest: Option<[u8; 32]>,
}

async fn watch<T, M>(
    shared: Arc<Shared<T>>,
    name: &'static str,
    files: Files,
    make: M,
    mut taken: [u8; 32],
) where
    M: Fn(&Texts<'_>) -> Result<T, TlsError>,
{
    let mut refused: Option<(Refused, bool)> = None;
    loop {
        tokio::time::sleep(LOOK).await;
        let state = match read(&files).await {
            Ok((_, digest)) if digest == taken => {
                refused = None;
                continue;
            }
            Ok((texts, digest)) => match make(&Texts(&files, texts)) {
                Ok(new) => {
                    shared.replace(new);
                    taken = digest;
                    refused = None;
                    tracing::info!("{name} was read anew");
                    continue;
                }
                Err(error) => Refused {
                    error,
                    digest: Some(digest),
                },
            },
            Err(error) => Refused {
                error,
                digest: None,
            },
        };
        refused = Some(complain(name, state, refused));
    }
}

/// Says once what is wrong, at the second look: files that are being replaced one after the other are
/// whole again by then.
fn complain(name: &str, state: Refused, before: Option<(Refused, bool)>) -> (Refused, bool) {
    let Some((_, told)) = before.filter(|(before, _)| *before == state) else {
        return (state, false);
    };
    if !told {
        tracing::warn!(error = %state.error, "{name} can't be used; the last good one stays");
    }
    (state, true)
}

async fn read(files: &Files) -> Result<(Vec<Vec<u8>>, [u8; 32]), TlsError> {
    let mut texts = Vec::with_capacity(files.len());
    let mut context = digest::Context::new(&digest::SHA256);
    for (part, path) in files {
        let text = tokio::fs::read(path).await;
        let text = text.map_err(|error| TlsError::new(*part, path, error.to_string()))?;
        context.update(&text.len().to_be_bytes());
        context.update(&text);
        texts.push(text);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    Ok((texts, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_complaint_for_one_state_and_none_for_files_in_the_midst_of_a_change() {
        let state = |problem: &str| Refused {
            error: TlsError::new(Part::Key, "key.pem", problem),
            digest: None,
        };
        let mut told = Vec::new();
        let mut before = None;
        for problem in ["a", "b", "b", "b", "c", "b", "b"] {
            let after = complain("it", state(problem), before);
            told.push(after.1);
            before = Some(after);
        }
        // Each `true` that follows a `false` wrote a line.
        assert_eq!(told, [false, false, true, true, false, false, true]);
    }
}
