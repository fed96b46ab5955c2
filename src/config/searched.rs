//! Where the tasks were searched for, for when there is none.

use crate::config::keys::name::DEFINITION;
use crate::config::keys::{DOCUMENTS, SETTINGS_FILE};
use crate::config::value::Origin;
use std::fmt;
use std::path::PathBuf;

/// The places that could have named a task to start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Searched {
    /// The settings file that was read.
    pub(crate) file: Option<PathBuf>,
    /// Where the setting is given without a value.
    pub(crate) empty: Vec<Origin>,
}

impl Searched {
    pub(crate) fn hint(&self) -> String {
        let file = self.file.as_ref().map_or(SETTINGS_FILE.into(), |file| file.to_string_lossy());
        format!(
            "set {DEFINITION} in {file}, add a request document to {DOCUMENTS}/, or use --task-definition"
        )
    }
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for origin in &self.empty {
            match origin {
                Origin::Option(option) => return write!(f, "{option} is empty"),
                Origin::Environment => write!(f, "{DEFINITION} is empty in the environment, ")?,
                Origin::File { path, line } => {
                    write!(f, "{DEFINITION} is empty in {} line {line}, ", path.display())?;
                }
            }
        }
        match &self.file {
            Some(file) if self.empty.is_empty() => {
                write!(f, "{} does not set {DEFINITION}, ", file.display())?;
            }
            None => write!(f, "there is no settings file {SETTINGS_FILE}, ")?,
            Some(_) => {}
        }
        write!(f, "and {DOCUMENTS} has no *.json file")
    }
}
