//! systemd and the terminal: who called, how `ecs.service` is, and what this program is doing now.

use crate::logging;
use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that `systemctl` may take; it hangs when the bus does.
const SYSTEMCTL_LIMIT: Duration = Duration::from_secs(2);

/// What the run wants of its surroundings, besides the network and the clock.
pub(crate) trait Host {
    /// `ecs.service` in systemd's words, such as `activating (auto-restart)`. `None` without systemd.
    fn ecs_service(&self) -> Option<String>;

    /// Whether this process was started by user data.
    fn in_user_data(&self) -> bool;

    /// Whether a service manager started this process, and will start it again when it fails.
    fn under_unit(&self) -> bool;

    /// What is being done or waited for: for `systemctl status` and the terminal.
    fn status(&self, text: &str);
}

/// The real one.
#[derive(Debug)]
pub(crate) struct RealHost;

impl Host for RealHost {
    fn ecs_service(&self) -> Option<String> {
        // One call to the property list, as 219 has no other machine-readable form.
        let mut child = Command::new("systemctl")
            .args(["show", "ecs.service", "-p", "ActiveState", "-p", "SubState"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let started = Instant::now();
        while child.try_wait().ok()?.is_none() {
            if started.elapsed() > SYSTEMCTL_LIMIT {
                // It has no answer to give; whether it could be ended changes nothing.
                drop(child.kill());
                drop(child.wait());
                return None;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut text = String::new();
        child.stdout.take()?.read_to_string(&mut text).ok()?;
        unit_state(&text)
    }

    fn in_user_data(&self) -> bool {
        std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|text| text.contains("cloud-final.service"))
    }

    fn under_unit(&self) -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some()
    }

    fn status(&self, text: &str) {
        logging::progress(text);
        if let Some(socket) = std::env::var_os("NOTIFY_SOCKET").and_then(|s| s.into_string().ok())
            && let Err(e) = notify(&socket, &format!("STATUS={text}"))
        {
            log::debug!("systemd takes no status: {socket}: {e}");
        }
    }
}

fn unit_state(properties: &str) -> Option<String> {
    let value = |key: &str| crate::keyvalue::lookup(properties, key).map(|p| p.value);
    let (active, sub) = (value("ActiveState")?, value("SubState")?);
    Some(format!("{active} ({sub})"))
}

/// One datagram (sd_notify(3)); `@` stands for an abstract address.
fn notify(socket: &str, message: &str) -> std::io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_s_state_in_systemd_s_words() {
        assert_eq!(unit_state("ActiveState=active\nSubState=running\n").as_deref(), Some("active (running)"));
        assert_eq!(unit_state("Failed to get D-Bus connection"), None);
    }

    #[test]
    fn notify_sends_one_datagram() {
        let name = format!("ecs-start-task-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notify(&format!("@{name}"), "STATUS=x").unwrap();
        let mut buffer = [0; 16];
        let received = socket.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..received], b"STATUS=x");
    }
}
