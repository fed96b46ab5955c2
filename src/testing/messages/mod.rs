//! All messages, written to one page for reading, `target/messages.txt`: every error, and every line that a run logs, in
//! scenes under a virtual clock.
//!
//! The findings of `check` are written by its own tests, to `target/messages-of-check.txt`.

mod samples;
mod scenes;

use crate::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The words that begin a command. Commands are in backquotes.
const COMMANDS: [&str; 8] =
    ["systemctl ", "journalctl ", "aws ecs ", "aws ec2 ", "chronyc ", "mkdir ", "docker ps", "docker system"];

/// Files whose lines are logged before a run or next to it, where no scene can be.
const ELSEWHERE: [&str; 5] = ["command.rs", "logging.rs", "proxy.rs", "roots.rs", "signals.rs"];

/// Checks every text: one line of whole sentences, with commands that can be pasted.
fn assert_sound(text: &str) {
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
    for flaw in ["{}", "..;", ".;", ": ;", ";;", ": :", "  ", " ,"] {
        assert!(!text.contains(flaw) || text.contains("...;"), "{flaw:?} in {text}");
    }
    assert!(!text.ends_with(['.', ';', ':', ' ']) || text.ends_with("..."), "{text}");
    // A shell tries their content in tests/test_messages.py. Here, no process may be started while simulations hold locks.
    for piece in text.split('`').step_by(2) {
        let bare = COMMANDS.iter().find(|c| piece.contains(*c));
        assert!(bare.is_none(), "{bare:?} without backquotes in {text}");
    }
}

/// The variants that a source file declares.
fn variants(source: &str, name: &str) -> Vec<String> {
    let body = source.split(&format!("enum {name} {{")).nth(1).unwrap().split("\n}").next().unwrap();
    let named = body
        .lines()
        .filter(|l| l.starts_with("    ") && l.trim_start().starts_with(|c: char| c.is_ascii_uppercase()));
    named
        .filter_map(|l| l.split(|c: char| !c.is_alphanumeric()).find(|w| !w.is_empty()))
        .map(str::to_owned)
        .collect()
}

/// The lines that the program logs at `info` and above, as the source has them.
fn templates(source: &str) -> Vec<String> {
    let calls = source.split("log::").skip(1);
    let calls = calls.filter(|c| ["info!(", "warn!(", "error!(", "log!("].iter().any(|l| c.starts_with(l)));
    calls.filter_map(|call| call.split('"').nth(1).map(str::to_owned)).collect()
}

/// Whether `line` may come from `template`.
fn is_made_from(line: &str, template: &str) -> bool {
    let literal = template.split('{').enumerate().map(|(i, piece)| match i {
        0 => piece,
        _ => piece.split_once('}').unwrap().1,
    });
    let mut rest = Some(line);
    literal.for_each(|piece| rest = rest.and_then(|r| r.split_once(piece)).map(|(_, after)| after));
    rest.is_some()
}

/// The program's own files, without their tests.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut directories = vec![src];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.is_dir() {
                true if !entry.ends_with("testing") && !entry.ends_with("check") => directories.push(entry),
                true => (),
                false => paths.push(entry),
            }
        }
    }
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned();
        (path.file_name().unwrap().to_string_lossy().into_owned(), code)
    };
    paths.into_iter().map(read).collect()
}

/// The target directory, which Cargo may have elsewhere.
fn write_page(errors: &[Error], scenes: &[(&str, Vec<String>)]) {
    let mut page = String::from("Errors: what happened; how to fix it\n");
    errors.iter().for_each(|e| write!(page, "\n{:>3}  {}\n", e.exit_code(), e.message_with_hint()).unwrap());
    for (title, lines) in scenes {
        write!(page, "\n\nScene: {title}\n\n{}\n", lines.join("\n")).unwrap();
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&target).unwrap();
    std::fs::write(target.join("messages.txt"), page).unwrap();
}

#[test]
fn every_message_is_sound_and_on_the_page() {
    let (errors, scenes) = (samples::all(), scenes::all());
    write_page(&errors, &scenes);
    for error in errors {
        let (told, hint) = (error.message_with_hint(), error.hint());
        assert_sound(&told);
        assert_sound(&hint);
        assert!(matches!(error, Error::Sign { .. }) || !told.contains("as a bug, with"), "{told}");
    }
    let said: Vec<String> = scenes.into_iter().flat_map(|(_, lines)| lines).collect();
    assert!(said.iter().any(|line| line.contains("agent (1m 15s): ") && line.contains("; check ")));
    for line in &said {
        assert!(
            !line.contains("s (5s): ") || !line.contains("; check "),
            "advice comes after a minute: {line}"
        );
        assert_sound(line);
        let serious = line.contains("[WARN]") || line.contains("[ERROR]");
        assert!(!serious || line.contains("; "), "{line} does not say what to do, or what comes next");
    }
    for (name, source) in sources().iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        for template in templates(source) {
            assert!(said.iter().any(|line| is_made_from(line, &template)), "no scene for {name}: {template}");
        }
    }
}

#[test]
fn no_variant_is_left_out() {
    let shown: Vec<String> = samples::all().iter().map(|e| format!("{e:?}")).collect();
    let is_shown =
        |name: &String| shown.iter().any(|debug| debug.split([' ', '(', ')', '{']).any(|word| word == name));
    for (source, name) in [
        (include_str!("../../error/mod.rs"), "Error"),
        (include_str!("../../config/error.rs"), "ConfigError"),
    ] {
        let declared = variants(source, name);
        assert!(declared.len() > 10, "{declared:?}");
        let missing: Vec<_> = declared.iter().filter(|name| !is_shown(name)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
