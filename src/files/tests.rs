//! What is read and what is not; where is written and where is not. Other users' files are in the tests on the built binary.

use super::access::*;
use super::*;
use rustix::fs::Mode;
use rustix::fs::{CWD, FileType, mknodat};
use std::fs::OpenOptions;
use std::fs::{self, Permissions};
use std::io::Write;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::path::PathBuf;

const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, MODE, 0).unwrap();
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What was said of a path that was not opened.
fn fault<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn no_file_is_larger_than_the_limit() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "é".repeat(LIMIT / 2)).unwrap();
    assert_eq!(read(file.path()).unwrap().len(), LIMIT);
    assert!(fault(read_named(Path::new("/dev/zero"))).contains("larger than"));
    fs::write(&file, b"\xff").unwrap();
    assert_eq!(fault(read(file.path())), "it is not UTF-8");
    assert_eq!(read(Path::new("/nonexistent")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn only_what_a_person_names_may_be_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let (pipe, link) = (directory.path().join("pipe"), directory.path().join("link"));
    fifo(&pipe);
    symlink(&pipe, &link).unwrap();
    for path in [&pipe, &link, &PathBuf::from("/dev/zero"), &directory.path().to_path_buf()] {
        assert_eq!(fault(read(path)), "it is not a regular file", "{}", path.display());
    }
    let writer = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::write(pipe, "text").unwrap()
    });
    assert_eq!(read_named(&pipe).unwrap(), "text");
    writer.join().unwrap();
    assert_eq!(read_named(Path::new("/dev/null")).unwrap(), "");
    assert!(read_named(directory.path()).unwrap_err().kind() == ErrorKind::IsADirectory);
}

#[test]
fn a_pipe_into_which_nothing_comes_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    fifo(&pipe);
    let read = || text_of(Patient { file: open(&pipe).unwrap(), seconds: 0 }, LIMIT);
    assert_eq!(fault(read()), "no data for 0 s", "nobody has opened it");
    let writer = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    assert_eq!(fault(read()), "no data for 0 s", "nobody writes into it");
    (&writer).write_all(b"{").unwrap();
    assert_eq!(read().unwrap_err().kind(), ErrorKind::TimedOut, "it is not closed");
}

#[test]
fn a_log_is_created_appended_to_and_no_link() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("real")).unwrap();
    symlink(path("real"), path("trusted")).unwrap();
    let log = path("trusted/../trusted/./log");
    append(&log, MODE).unwrap().write_all(b"1").unwrap();
    append(&log, MODE).unwrap().write_all(b"2").unwrap();
    assert_eq!(fs::read_to_string(path("real/log")).unwrap(), "12");
    assert_eq!(fs::metadata(path("real/log")).unwrap().mode() & 0o777, 0o600);
    symlink("log", path("real/link")).unwrap();
    symlink("nowhere", path("real/dangling")).unwrap();
    fifo(&path("real/pipe"));
    assert_eq!(fault(append(&path("real/link"), MODE)), "it is a symbolic link");
    assert_eq!(fault(append(&path("real/dangling"), MODE)), "it is a symbolic link");
    assert!(!path("real/nowhere").exists());
    assert_eq!(fault(append(&path("real/pipe"), MODE)), "it is not a regular file");
    assert!(append(Path::new("/dev/null"), MODE).is_ok());
    assert_eq!(fault(append(Path::new("/dev/zero"), MODE)), "it is not a regular file");
    for (wrong, kind) in [
        (path("real"), ErrorKind::IsADirectory),
        (path("missing/log"), ErrorKind::NotFound),
        (path("real/log/x"), ErrorKind::NotADirectory),
        (PathBuf::from("/"), ErrorKind::IsADirectory),
    ] {
        assert_eq!(append(&wrong, MODE).unwrap_err().kind(), kind, "{}", wrong.display());
    }
}

#[test]
fn where_others_write_a_log_has_one_name() {
    let directory = tempfile::tempdir().unwrap();
    let (log, other) = (directory.path().join("log"), directory.path().join("other"));
    drop(append(&log, MODE).unwrap());
    fs::hard_link(&log, &other).unwrap();
    assert!(append(&log, MODE).is_ok(), "nobody else can have made the link");
    for shared in [0o775, 0o1777] {
        mode(directory.path(), shared);
        let said = append(&log, MODE).unwrap_err();
        assert!(said.to_string().starts_with("it has 2 names"), "{said}");
        assert_eq!(Untrusted::of(&said).unwrap().hint(&log), format!("`rm {}`", log.display()));
    }
    fs::remove_file(other).unwrap();
    assert!(append(&log, MODE).is_ok(), "sticky, as /tmp is");
    mode(directory.path(), 0o777);
    let said = append(&log, MODE).unwrap_err();
    let expected = format!("{}: others can write to it (mode 0777)", directory.path().display());
    assert_eq!((said.to_string(), said.kind()), (expected, ErrorKind::PermissionDenied));
    assert!(Untrusted::of(&said).unwrap().hint(&log).starts_with("use a path whose"));
}

#[test]
fn writing_is_tried_without_writing() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    assert!(check_append(&path("log")).is_ok() && Directory::check(&path("a/b/state")).is_ok());
    assert!(check_append(&path("missing/log")).is_err(), "of the log only the file is made");
    fs::write(path("file"), "").unwrap();
    assert!(check_append(&path("file")).is_ok() && Directory::check(&path("file")).is_err());
    assert!(Directory::check(&path("file/state")).is_err() && check_append(directory.path()).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was made");
    mode(directory.path(), 0o777);
    assert!(check_append(&path("log")).is_err() && Directory::check(directory.path()).is_err());
}

#[test]
fn what_others_can_write_to_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    for (path, set, told) in [
        (file.as_path(), 0o644, None),
        (&file, 0o666, Some("mode 0666")),
        (directory.path(), 0o755, None),
        (directory.path(), 0o1777, Some("mode 1777")),
        (Path::new("/dev/null"), 0, None),
        (Path::new("/nonexistent"), 0, None),
    ] {
        if path.starts_with(directory.path()) {
            mode(path, set);
        }
        let said = open_to_others(path).map(|untrusted| untrusted.to_string());
        assert_eq!(said.as_ref().map(|said| said.contains(told.unwrap())), told.map(|_| true), "{said:?}");
    }
}

#[test]
fn links_that_lead_in_a_circle_end() {
    let directory = tempfile::tempdir().unwrap();
    symlink("b", directory.path().join("a")).unwrap();
    symlink("a", directory.path().join("b")).unwrap();
    assert!(fault(append(&directory.path().join("a/log"), MODE)).contains("symbolic link"));
}

#[test]
fn a_directory_of_our_own_is_created_and_holds_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    assert_eq!(Directory::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
    let own = Directory::create(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    assert_eq!(own.read("x").unwrap_err().kind(), ErrorKind::NotFound);
    for text in ["long text", "text"] {
        own.replace("x", text.as_bytes()).unwrap();
        assert_eq!(own.read("x").unwrap(), text);
    }
    own.rename("x", "y").unwrap();
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing temporary stays");
    assert_eq!(fs::metadata(path.join("y")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(own.names().unwrap(), ["y"]);
    own.remove("y").unwrap();
    own.remove("y").unwrap();
    drop((own.lock_file("lock").unwrap(), own.lock_file("lock").unwrap()));
}

#[test]
fn nothing_in_it_is_a_link_or_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let own = Directory::create(&path("own")).unwrap();
    fs::write(path("victim"), "victim").unwrap();
    for name in ["lock", "x"] {
        symlink(path("victim"), path("own").join(name)).unwrap();
    }
    assert_eq!(fault(own.lock_file("lock")), "it is a symbolic link");
    assert_eq!(fault(own.read("x")), "it is a symbolic link");
    own.replace("x", b"record").unwrap();
    assert_eq!(own.read("x").unwrap(), "record");
    assert_eq!(fs::read_to_string(path("victim")).unwrap(), "victim");
    fifo(&path("own/pipe"));
    assert_eq!(fault(own.read("pipe")), "it is not a regular file");
}

#[test]
fn a_directory_in_which_others_write_is_refused_permanently() {
    let directory = tempfile::tempdir().unwrap();
    for wrong in [0o770, 0o1777, 0o702] {
        mode(directory.path(), wrong);
        let said = Directory::create(directory.path()).unwrap_err();
        assert_eq!(said.to_string(), format!("others can write to it (mode {wrong:04o})"));
        let hint = Untrusted::of(&said).unwrap().hint(directory.path());
        assert!(hint.contains("chmod go-w /") && hint.contains("chown "), "{hint}");
        assert!(is_permanent(&said));
    }
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    mode(directory.path(), 0o700);
    assert!(is_permanent(&Directory::create(&file).unwrap_err()));
    assert!(!is_permanent(&Directory::open(&directory.path().join("missing")).unwrap_err()));
}
