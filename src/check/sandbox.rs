//! Paths that a shell can access but the sandboxed unit cannot.
//!
//! Only the settings file and the documents beside it count for the unit; options and environment are those of this call.
//! systemd reports what is closed to the unit, drop-ins included, so a drop-in that opens a place ends the warning.

use crate::config::keys::{DOCUMENTS, SETTINGS_FILE, name};
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::system::systemd::Unit;
use crate::text::shell_word;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What `ProtectHome=` and `PrivateTmp=` hide, in the words of systemd.exec(5).
const HOMES: &[&str] = &["/root", "/home", "/run/user"];
const TEMPORARY: &[&str] = &["/tmp", "/var/tmp"];

/// The paths that are closed to the unit, each with a hint.
pub(super) fn closed(unit: &Unit, sources: &Sources, settings: &Settings) -> Vec<(String, String)> {
    let given = |key| sources.of_unit(key).map(|g| (g.to_string(), PathBuf::from(g.value.trim())));
    let directory = given(name::STATE_DIR).map(|(what, path)| verdict(unit, &what, &path, Some(&path)));
    let log = given(name::LOG_FILE).map(|(what, path)| verdict(unit, &what, &path, path.parent()));
    let documents = settings.documents.iter().filter(|path| path.starts_with(DOCUMENTS));
    let file = sources.file.iter().filter(|file| *file == Path::new(SETTINGS_FILE));
    let named = documents.chain(file).map(|path| (path.display().to_string(), path.clone()));
    let read = given(name::CA_BUNDLE).into_iter().chain(named);
    let read = read.map(|(what, path)| verdict(unit, &what, &path, None));
    directory.into_iter().chain(log).chain(read).flatten().collect()
}

fn verdict(unit: &Unit, what: &str, path: &Path, written: Option<&Path>) -> Option<(String, String)> {
    if let Some(hidden) = hidden(unit, &real(path)) {
        let fix = format!("use a path outside of {hidden}, which the unit cannot see; it can read /etc/ecs");
        return Some((format!("the unit cannot see {what}"), fix));
    }
    if let Some((place, owner)) = unreadable(path).filter(|_| written.is_none()) {
        let place = shell_word(&place.display().to_string());
        let fix = format!("`chown root: {place}`, or let others read it");
        return Some((format!("the unit cannot read {what}: {place} {owner}"), fix));
    }
    let directory = written.filter(|_| is_read_only(unit, &real(path)))?.display();
    let fix = format!(
        "use the default, or `mkdir -p {directory}`, `systemctl edit ecs-start-task` with the lines [Service] and ReadWriteDirectories={directory}, and `systemctl restart ecs-start-task`"
    );
    Some((format!("the unit cannot write {what}"), fix))
}

/// What keeps root without any capability, as the unit is, from reading the file: a place on its path, its owner and mode. At
/// a prompt root may read everything, and another user what is the user's own.
fn unreadable(path: &Path) -> Option<(PathBuf, String)> {
    let real = path.canonicalize().ok()?;
    let places = real.ancestors().filter_map(|place| Some((place, place.metadata().ok()?)));
    let (place, metadata) = places.into_iter().find(|(_, metadata)| !is_open_to_root(metadata))?;
    let owner = format!("belongs to user {} and has mode {:o}", metadata.uid(), metadata.mode() & 0o7777);
    Some((place.to_path_buf(), owner))
}

fn is_open_to_root(metadata: &Metadata) -> bool {
    let shift = match (metadata.uid(), metadata.gid()) {
        (0, _) => 6,
        (_, 0) => 3,
        _ => 0,
    };
    let needed = if metadata.is_dir() { 0o1 } else { 0o4 };
    metadata.mode() >> shift & needed == needed
}

/// The places among which it is, when they are hidden.
fn hidden(unit: &Unit, path: &Path) -> Option<String> {
    let is_set = |property: &str| !matches!(unit.get(property), "" | "no" | "read-only");
    let hidden = |(property, places): &(&str, &[&str])| {
        is_set(property) && places.iter().any(|place| path.starts_with(place))
    };
    let all = [("ProtectHome", HOMES), ("PrivateTmp", TEMPORARY)];
    all.iter().find(|each| hidden(each)).map(|(_, places)| places.join(", "))
}

/// Of the places that the unit names the nearest one above counts.
fn is_read_only(unit: &Unit, path: &Path) -> bool {
    let nearest = |properties: [&str; 2]| {
        let places = properties.into_iter().flat_map(|property| unit.get(property).split_whitespace());
        let places = places.map(|place| Path::new(place.trim_start_matches(['-', '+'])));
        places.filter(|place| path.starts_with(place)).map(|place| place.components().count()).max()
    };
    nearest(["ReadOnlyDirectories", "ReadOnlyPaths"]) > nearest(["ReadWriteDirectories", "ReadWritePaths"])
}

/// Where the path leads, as far as there is one: `/var/run` is `/run`, and a document may be a link.
fn real(path: &Path) -> PathBuf {
    let path = std::fs::read_link(path).map_or_else(|_| path.to_path_buf(), |link| path.with_file_name(link));
    let resolved = |above: &Path| Some(above.canonicalize().ok()?.join(path.strip_prefix(above).ok()?));
    path.ancestors().find_map(resolved).unwrap_or_else(|| path.clone())
}
