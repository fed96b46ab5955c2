//! systemd and the terminal: who called, the state of `ecs.service`, and what this program is doing now.

use crate::keyvalue;
use crate::system::routes::DefaultRoutes;
use crate::system::{logging, signals};
use crate::text::{sanitize_line, shorten};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that `systemctl` may take; it hangs when the bus does.
const SYSTEMCTL_LIMIT: Duration = Duration::from_secs(2);

/// The services of this host that a run uses, besides the network and the clock.
pub(crate) trait Host {
    /// What systemd knows of these units, in this order; nothing without systemd.
    fn units(&self, names: &[&str]) -> Vec<Unit>;

    /// The default routes of this host.
    fn default_routes(&self) -> DefaultRoutes;

    /// Whether this process was started by user data.
    fn in_user_data(&self) -> bool;

    /// How long systemd waits before it restarts the unit.
    fn restart_sec(&self) -> Duration;

    /// Whether a service manager started this process, and will start it again when it fails.
    fn under_unit(&self) -> bool;

    /// What is being done or waited for, shown by `systemctl status` and on a terminal.
    fn status(&self, text: &str);

    /// The same with the time waited, for a terminal: systemd itself shows since when.
    fn progress(&self, text: &str);

    /// What would remain of `definition` if this process ended now.
    fn shutdown_notice(&self, definition: &str, behind: Option<String>);

    /// This is done before a signal ends the process, and not after a crash.
    fn on_signal(&self, action: Box<dyn FnOnce() + Send>);
}

/// What systemd reports about one unit: its properties, as `systemctl show` prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit(BTreeMap<String, String>);

/// The properties that are asked for; `systemctl show` of 219 has no other machine-readable form. The lists of
/// directories are its names for what is called paths today.
const PROPERTIES: &str = concat!(
    "LoadState,ActiveState,SubState,Job,StatusText,UnitFileState,FragmentPath,Result,ExecMainStatus,",
    "ExecMainStartTimestampMonotonic,InactiveEnterTimestamp,",
    "ReadOnlyDirectories,ReadOnlyPaths,ReadWriteDirectories,ReadWritePaths,ProtectHome,PrivateTmp"
);

impl Unit {
    /// The property, empty when systemd does not give it.
    pub(crate) fn get(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }

    /// Whether there is no such unit.
    pub(crate) fn is_missing(&self) -> bool {
        self.get("LoadState") == "not-found"
    }

    /// Its start, stop or restart that is queued or under way.
    pub(crate) fn job(&self) -> Option<&str> {
        Some(self.get("Job")).filter(|job| !matches!(*job, "" | "0"))
    }

    /// Whether its process was started in this boot, whatever became of it.
    pub(crate) fn has_run(&self) -> bool {
        !matches!(self.get("ExecMainStartTimestampMonotonic"), "" | "0")
    }

    /// In systemd's words, such as `activating (auto-restart)`.
    pub(crate) fn state(&self) -> String {
        if self.is_missing() {
            return "not installed".to_owned();
        }
        format!("{} ({})", self.get("ActiveState"), self.get("SubState"))
    }
}

/// The services of the real host.
#[derive(Debug)]
pub(crate) struct RealHost;

impl Host for RealHost {
    fn default_routes(&self) -> DefaultRoutes {
        DefaultRoutes::read()
    }

    fn units(&self, names: &[&str]) -> Vec<Unit> {
        // One call for each: at a property that it does not know, systemctl of RHEL 7 and Amazon Linux 2 ends after the first unit.
        let unit = |name: &&str| parse_unit(&systemctl_show(name)?);
        names.iter().map(unit).collect::<Option<_>>().unwrap_or_default()
    }

    fn in_user_data(&self) -> bool {
        std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|text| text.contains("cloud-final.service"))
    }

    fn restart_sec(&self) -> Duration {
        let texts: Vec<String> =
            unit_files().iter().filter_map(|path| crate::files::read(path).ok()).collect();
        parse_restart_sec(&texts)
    }

    fn under_unit(&self) -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    fn status(&self, text: &str) {
        self.progress(text);
        tell_systemd(text);
    }

    fn progress(&self, text: &str) {
        signals::doing(text);
        logging::progress(text);
    }

    fn shutdown_notice(&self, definition: &str, behind: Option<String>) {
        signals::shutdown_notice(definition, behind);
    }

    fn on_signal(&self, action: Box<dyn FnOnce() + Send>) {
        signals::on_signal(action);
    }
}

/// What `systemctl status` shows, until something else is said.
pub(crate) fn tell_systemd(text: &str) {
    // A line of the message is an assignment.
    if let Some(socket) = std::env::var_os("NOTIFY_SOCKET").and_then(|s| s.into_string().ok())
        && let Err(e) = notify(&socket, &format!("STATUS={}", sanitize_line(text)))
    {
        log::debug!("cannot send the status to systemd: {socket}: {e}");
    }
}

/// Where distributions have it. It is not searched for in `PATH`, which the caller can set.
const SYSTEMCTL: [&str; 2] = ["/usr/bin/systemctl", "/bin/systemctl"];

fn spawn_systemctl(arguments: [&str; 4]) -> Option<Child> {
    let spawn = |path: &&str| {
        let mut command = Command::new(path);
        command.args(arguments).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()
    };
    SYSTEMCTL.iter().find_map(spawn)
}

/// `None` when it cannot be run or hangs.
fn systemctl_show(name: &str) -> Option<String> {
    let mut child = spawn_systemctl(["show", "-p", PROPERTIES, name])?;
    let started = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if started.elapsed() > SYSTEMCTL_LIMIT {
            // It has no response to give; whether it could be ended changes nothing.
            drop(child.kill());
            drop(child.wait());
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A line for each property; `None` when that is not what came.
pub(crate) fn parse_unit(text: &str) -> Option<Unit> {
    let own = |p: keyvalue::Pair<'_>| (p.key.to_owned(), shorten(p.value));
    let unit = Unit(keyvalue::pairs(text).flatten().map(own).collect());
    (!unit.get("ActiveState").is_empty()).then_some(unit)
}

/// One datagram (sd_notify(3)); `@` stands for an abstract address. A manager that does not read is not waited for.
///
/// # Errors
/// The socket's name is invalid, or the datagram cannot be sent.
fn notify(socket: &str, message: &str) -> std::io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let ours = UnixDatagram::unbound()?;
    ours.set_nonblocking(true)?;
    ours.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

pub(crate) fn ecs_service(host: &dyn Host) -> Option<Unit> {
    host.units(&["ecs.service"]).into_iter().next()
}

/// Whether the agent waits for the caller, as it does for user data, so that it cannot come up.
pub(crate) fn is_in_user_data(host: &dyn Host) -> bool {
    let active = || ecs_service(host).is_some_and(|unit| unit.get("ActiveState") == "active");
    host.in_user_data() && !active()
}

/// Where the unit and its drop-ins are, by falling precedence.
const UNIT_DIRECTORIES: [&str; 3] = ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system"];
const UNIT: &str = "ecs-start-task.service";

/// RestartSec of the shipped unit.
const RESTART_SEC: Duration = Duration::from_secs(30);

/// The unit and its drop-ins, in the order in which systemd reads them. They are read here because the unit's sandbox has
/// no way to ask systemd.
fn unit_files() -> Vec<PathBuf> {
    let directories = || UNIT_DIRECTORIES.iter().map(Path::new);
    let unit = directories().map(|directory| directory.join(UNIT)).find(|path| path.exists());
    let drop_ins = directories().map(|directory| directory.join(format!("{UNIT}.d")));
    let entries = drop_ins.filter_map(|directory| std::fs::read_dir(directory).ok()).flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    paths.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    unit.into_iter().chain(paths).collect()
}

/// The last `RestartSec=` of a unit and its drop-ins: seconds, or a time span such as `1min 30s`.
fn parse_restart_sec(texts: &[String]) -> Duration {
    let settings = texts.iter().flat_map(|text| keyvalue::pairs(text)).flatten();
    let last = settings.filter(|pair| pair.key == "RestartSec").map(|pair| pair.value).last();
    let parse = |value: &str| {
        value.parse().map(Duration::from_secs).or_else(|_| humantime::parse_duration(value)).ok()
    };
    last.and_then(parse).unwrap_or(RESTART_SEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_restart_sec_counts() {
        let of =
            |texts: &[&str]| parse_restart_sec(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        let seconds = Duration::from_secs;
        assert_eq!(of(&["[Service]\nRestartSec=30\n", "[Service]\nRestartSec=1\n"]), seconds(1));
        assert_eq!(of(&["RestartSec=1min 30s"]), seconds(90));
        assert_eq!((of(&[]), of(&["RestartSec=infinity"])), (RESTART_SEC, RESTART_SEC));
    }

    #[test]
    fn units_in_systemd_s_words() {
        let unit = parse_unit("LoadState=loaded\nActiveState=active\nSubState=running\n").unwrap();
        assert_eq!((unit.state().as_str(), unit.get("LoadState")), ("active (running)", "loaded"));
        assert_eq!(parse_unit("Failed to get D-Bus connection"), None);
    }

    #[test]
    fn notify_sends_one_datagram_and_never_waits() {
        let name = format!("ecs-start-task-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify(&format!("@{name}"), "STATUS=x").unwrap();
        let mut buffer = [0; 16];
        let received = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..received], b"STATUS=x");
        // The kernel keeps so many (net.unix.max_dgram_qlen) for whom does not read.
        assert!((0..10_000).any(|_| notify(&format!("@{name}"), "STATUS=x").is_err()));
    }
}
