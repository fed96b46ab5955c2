//! Files that others write: settings, documents, records. Read whole, and so only up to a limit.

use std::fs::File;
use std::io::{self, Error, ErrorKind, Read};
use std::path::Path;

/// Far above any of them, far below what would take this host's memory.
const LIMIT: usize = 1024 * 1024;

/// # Errors
/// As for [`std::fs::read_to_string`], and a file that is too large.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let bytes = bytes(path, LIMIT)?;
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// # Errors
/// As for [`std::fs::read`], and a file of more than `limit` bytes.
pub(crate) fn bytes(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_larger_than_the_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "é".repeat(LIMIT / 2)).unwrap();
        assert_eq!(read(file.path()).unwrap().len(), LIMIT);
        assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("larger than"));
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(read(file.path()).unwrap_err().to_string(), "it is not UTF-8");
        assert_eq!(read(Path::new("/nonexistent")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
