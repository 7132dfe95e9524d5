//! Following one import until it has ended.

use std::time::Duration;

use types::{Deadline, ImportName};

use super::App;
use crate::domain::imports::{Import, State};
use crate::error::Error;

/// How often the import is looked at where nothing rings: a dry run leaves nothing in the log.
const LOOK: Duration = Duration::from_millis(200);

/// How long one look may take.
const READ_TIME: Duration = Duration::from_secs(10);

/// A WatchImport.
pub struct ImportWatch {
    app: App,
    name: ImportName,
    first: Option<Import>,
    revision: i64,
    has_ended: bool,
}

impl App {
    /// Follows an import, beginning with how it stands.
    pub async fn watch_import(
        &self,
        name: ImportName,
        deadline: Deadline,
    ) -> Result<ImportWatch, Error> {
        let first = self.get_import(name.clone(), deadline).await?;
        Ok(ImportWatch {
            app: self.clone(),
            name,
            first: Some(first),
            revision: 0,
            has_ended: false,
        })
    }
}

impl ImportWatch {
    /// The import at its next change; `None` after it was told that it has ended.
    pub async fn next(&mut self) -> Result<Option<Import>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(self.told(first)));
        }
        while !self.has_ended {
            let mut seen = self.app.store.seen();
            let deadline = Deadline::after(READ_TIME);
            let import = self.app.get_import(self.name.clone(), deadline).await?;
            if import.revision != self.revision {
                return Ok(Some(self.told(import)));
            }
            self.app.store.wait_for_change(&mut seen, LOOK).await;
        }
        Ok(None)
    }

    /// Nothing more is told.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    fn told(&mut self, import: Import) -> Import {
        self.revision = import.revision;
        self.has_ended = match import.state {
            State::Succeeded | State::Failed | State::Cancelled | State::Checked => true,
            State::Uploading | State::Running => false,
        };
        import
    }
}
