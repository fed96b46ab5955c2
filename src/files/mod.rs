//! Files: read with a limit on size and time, written only where no other user can lead the writing elsewhere.
//!
//! Reading never asks for the owner. What the program finds by itself must be a regular file, so that a pipe put in its place
//! holds up nothing; what a person names may be a pipe.

mod access;
mod directory;
mod hint;
mod trust;

pub(crate) use access::{append, bytes, bytes_named, check_append, is_permanent, nearest, read, read_named};
pub(crate) use directory::Directory;
pub(crate) use hint::{
    CREATE_STATE_DIRECTORY, ROOM, is_missing_for_unit, of_log_file, of_path, of_state_directory,
    part_of_state,
};
pub(crate) use trust::{Untrusted, open_to_others};

#[cfg(test)]
mod tests;
