"""The package's life on a machine: refused when tampered with, rotated, upgraded, erased."""

import shutil

from boot.conftest import NEWER, publish
from boot.machine import ETC_UNIT, REPO_FILE, REPO_KEY, UNIT, leave_unit_of_the_page
from boot.test_user_data import EXAMPLE, INSTALL, began
from package.tools import ARCHITECTURES, rpm_of, run

SETTINGS = "/etc/ecs/ecs-start-task.conf"


def started(machine):
    """The machine after a first boot in which the task was started."""
    machine.user_data(EXAMPLE)
    assert machine.boot() == "running"
    machine.wait_for("active exited")
    return machine


def refused(machine):
    """What dnf said when it did not install the package, after the boot."""
    if not machine.leader:
        machine.boot()
    result = machine.attempt("dnf", "install", "-y", "ecs-start-task")
    assert result.returncode != 0, result.stdout
    assert machine.attempt("rpm", "--query", "ecs-start-task").returncode != 0
    return result.stdout


def test_a_package_that_was_tampered_with_is_refused(machine, repository):
    # The metadata is rebuilt and matches; only the signature of the package shows the change.
    package = next(repository.glob("ecs-start-task-*.x86_64.rpm"))
    run("rpmsign", "--delsign", package)
    run("createrepo_c", "--quiet", "--simple-md-filenames", repository)
    machine.write(REPO_FILE, machine.read(REPO_FILE).replace("repo_gpgcheck=1", "repo_gpgcheck=0"))
    assert "is not signed" in refused(machine)


def test_a_package_that_is_not_the_one_of_the_metadata_is_refused(machine, repository):
    package = next(repository.glob("ecs-start-task-*.x86_64.rpm"))
    changed = bytearray(package.read_bytes())
    changed[-1000] ^= 1
    package.write_bytes(changed)
    assert "checksum" in refused(machine).lower()


def test_metadata_that_were_tampered_with_are_refused(machine, repository):
    metadata = repository / "repodata/repomd.xml"
    metadata.write_text(metadata.read_text().replace("<revision>", "<revision>1"))
    assert "bad gpg signature" in refused(machine).lower()


def test_a_repository_that_somebody_else_signed_anew_is_refused(machine, repository, tmp_path, distribution, other_key):
    # Packages, metadata and the key in the repository match; only the key on the host shows the change.
    another = publish([distribution, *map(rpm_of, ARCHITECTURES)], tmp_path / "another", other_key)
    assert (another / "RPM-GPG-KEY-ecs-start-task").read_text() != machine.read(REPO_KEY)
    shutil.rmtree(repository)
    shutil.copytree(another, repository)
    assert "bad gpg signature" in refused(machine).lower()
    machine.write(REPO_FILE, machine.read(REPO_FILE).replace("repo_gpgcheck=1", "repo_gpgcheck=0"))
    assert "is not installed" in refused(machine)


def test_the_log_is_rotated_and_goes_on(machine):
    started(machine)
    before = machine.log()
    machine.run("logrotate", "--force", "/etc/logrotate.d/ecs-start-task")
    assert machine.read("/var/log/ecs/ecs-start-task.log.1") == before and machine.log() == ""
    machine.run("ecs-start-task")
    assert "my_task_def" in machine.log()
    assert len(machine.tasks()) == 1


def test_an_upgrade_keeps_the_settings_and_runs_nothing(machine, repository, newer):
    started(machine)
    settings = machine.read(SETTINGS)
    shutil.rmtree(repository)
    shutil.copytree(newer, repository)
    machine.run("dnf", "upgrade", "-y", "--refresh", "ecs-start-task")
    assert machine.run("rpm", "--query", "--queryformat=%{VERSION}", "ecs-start-task") == NEWER
    assert machine.read(SETTINGS) == settings
    assert machine.read(SETTINGS + ".rpmnew").startswith("# The settings of")
    assert (machine.state(), began(machine), len(machine.tasks())) == ("active exited", 1, 1)
    assert machine.run("systemctl", "is-enabled", UNIT) == "enabled\n"


def test_erasing_leaves_the_unit_of_the_page_alone(machine):
    leave_unit_of_the_page(machine)
    machine.user_data("#!/bin/sh\nsystemctl enable --now --no-block ecs-start-task\n" + INSTALL)
    machine.boot()
    machine.run("dnf", "remove", "-y", "ecs-start-task")
    assert machine.state() == "active running"
    assert machine.run("systemctl", "is-enabled", UNIT) == "enabled\n"


def test_erasing_leaves_the_failure_of_the_unit_of_the_page_to_be_seen(machine):
    leave_unit_of_the_page(machine)
    machine.write("/etc/ecs/ecs-start-task.sh", "exit 1\n")
    machine.write(ETC_UNIT, machine.read(ETC_UNIT).replace("Restart=on-failure", "Restart=no"))
    machine.user_data("#!/bin/sh\nsystemctl enable --now --no-block ecs-start-task\n" + INSTALL)
    machine.boot()
    machine.wait_for("failed failed")
    machine.run("dnf", "remove", "-y", "ecs-start-task")
    assert machine.state() == "failed failed"


def test_erasing_stops_disables_and_keeps_the_log(machine):
    started(machine)
    log = machine.log()
    machine.run("dnf", "remove", "-y", "ecs-start-task")
    assert machine.show(UNIT, "LoadState", "ActiveState") == ["not-found", "inactive"]
    assert machine.run("systemctl", "list-units", "--failed", "--no-legend") == ""
    assert machine.run("find", "/etc/systemd/system", "-name", "ecs-start-task*") == ""
    assert machine.log() == log
    assert "my_task_def" in machine.read(SETTINGS + ".rpmsave")
    assert machine.attempt("ls", "/usr/bin/ecs-start-task").returncode != 0
