//! The directory of request documents: which of its files are documents, and what the others are.

use crate::config::error::ConfigError;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The files in the directory of request documents, each kind in name order.
#[derive(Debug, Default)]
pub(crate) struct DropIns {
    pub(crate) documents: Vec<PathBuf>,
    /// Files that may be meant as documents and are not named `*.json`.
    pub(crate) misnamed: Vec<PathBuf>,
    /// Subdirectories, READMEs, and files that rpm and editors leave behind.
    pub(crate) leftovers: Vec<PathBuf>,
}

impl DropIns {
    /// Lists the directory; nothing when it does not exist. Files whose names begin with a dot are skipped.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(crate) fn read(directory: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::File { path: directory.into(), source };
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(DropIns::default()),
            Err(e) => return Err(unreadable(e)),
        };
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut files = DropIns::default();
        for path in paths.collect::<io::Result<BTreeSet<_>>>().map_err(unreadable)? {
            files.add(path);
        }
        Ok(files)
    }

    fn add(&mut self, path: PathBuf) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let left = [".rpmsave", ".rpmnew", "~"].iter().any(|end| name.ends_with(end));
        let files = if name.starts_with('.') {
            return;
        } else if path.is_dir() {
            &mut self.leftovers
        } else if name.ends_with(".json") {
            &mut self.documents
        } else if left || name.starts_with("README") {
            &mut self.leftovers
        } else {
            &mut self.misnamed
        };
        files.push(path);
    }
}
