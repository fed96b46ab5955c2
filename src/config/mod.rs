//! What the user asked for: command line, environment and settings file, read into one checked value.

pub(crate) mod cli;
pub(crate) mod dropins;
pub(crate) mod error;
pub(crate) mod ignored;
pub(crate) mod keys;
pub(crate) mod line;
pub(crate) mod searched;
pub(crate) mod settings;
pub(crate) mod sources;
pub(crate) mod url;
pub(crate) mod value;
