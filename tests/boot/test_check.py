"""`ecs-start-task check` on a machine that boots: what the real systemd reports about the units."""

import json
import re

from boot.machine import UNIT, leave_unit_of_the_page, until
from boot.test_user_data import CONFIGURE, ENABLE, INSTALL
from standin.instance import UNSEEN


def findings(machine):
    """What check found, by name, and its exit code."""
    result = machine.attempt("ecs-start-task", "check", "--output", "json")
    return {each["Check"]: each for each in json.loads(result.stdout)}, result.returncode


def test_a_machine_that_has_started_its_task(machine):
    machine.user_data(INSTALL + CONFIGURE + ENABLE)
    machine.boot()
    machine.wait_for("active exited")
    found, code = findings(machine)
    assert {name for name, each in found.items() if each["Status"] != "Success"} == {"task definition"}, found
    assert found["unit"]["Note"].startswith("enabled, active (exited), /") and code == 0
    assert "ecs.service is active (running), docker.service is active" in found["ecs and docker"]["Note"]
    assert machine.tasks()[0].arn in found["already running"]["Note"] and len(machine.tasks()) == 1


def test_a_machine_on_which_nobody_enabled_it(machine):
    machine.user_data(INSTALL)
    machine.boot()
    found, code = findings(machine)
    assert found["unit"]["Status"] == "Warning"
    assert found["unit"]["Fix"] == "`systemctl enable --now --no-block ecs-start-task`"
    assert found["settings"]["Status"] == "Failed" and code == 78


def test_a_unit_that_failed(machine):
    machine.user_data(INSTALL + ENABLE)
    machine.boot()
    machine.wait_for("failed failed")
    found, _ = findings(machine)
    assert "the last run failed with exit code 78" in found["unit"]["Note"]


def test_the_fix_for_the_unit_of_the_page_works_as_printed(machine):
    leave_unit_of_the_page(machine)
    machine.user_data("#!/bin/sh\nsystemctl enable --now --no-block ecs-start-task\n" + INSTALL + CONFIGURE)
    machine.boot()
    found, code = findings(machine)
    assert found["unit"]["Status"] == "Failed" and code == 78
    machine.run("sh", "-e", "-c", found["unit"]["Fix"].strip("`"))
    machine.wait_for("active exited")
    found, code = findings(machine)
    assert found["unit"]["Status"] == "Success" and code == 0


def test_the_cure_for_a_start_in_user_data_that_waits_works_as_it_stands(machine):
    machine.user_data(INSTALL + CONFIGURE + ENABLE.replace("--no-block ", "") + "echo user data has ended\n")
    machine.begin_boot()
    until("the unit is installed", lambda: machine.attempt("ecs-start-task", "--version").returncode == 0)
    until("check knows", lambda: findings(machine)[0]["unit"]["Status"] == "Failed")
    found, code = findings(machine)
    assert code == 78 and "enable --now ecs-start-task" in found["unit"]["Note"]
    assert machine.state("ecs.service") == "inactive dead" and machine.tasks() == []
    text = machine.attempt("ecs-start-task", "check").stdout
    (cure,) = re.findall(r"^First: unit: `(systemctl cancel [^`]+)`", text, re.MULTILINE)
    machine.run("sh", "-e", "-c", cure)
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1 and "user data has ended" in machine.read("/var/log/cloud-init-output.log")
    assert findings(machine)[0]["unit"]["Status"] == "Success"


def test_a_task_that_died_after_the_unit_has_ended(machine):
    machine.user_data(INSTALL + CONFIGURE + ENABLE)
    machine.boot()
    machine.wait_for("active exited")
    (task,) = machine.tasks()
    task.life = UNSEEN
    found, code = findings(machine)
    assert found["already running"]["Status"] == "Warning" and f"{task.arn} ran" in found["already running"]["Note"] and code == 0
    machine.run("sh", "-e", "-c", found["already running"]["Fix"].strip("`"))
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 2 and findings(machine)[0]["already running"]["Status"] == "Success"


def test_what_is_closed_to_the_unit_and_the_drop_in_that_opens_it(machine):
    closed = {"ECS_START_TASK_STATE_DIR": "/srv/records", "ECS_START_TASK_LOG_FILE": "/srv/log/it.log", "AWS_CA_BUNDLE": "/root/ca.pem"}
    settings = "".join(f"echo {name}={place} >> /etc/ecs/ecs-start-task.conf\n" for name, place in closed.items())
    machine.user_data(INSTALL + CONFIGURE + settings + "mkdir -p /srv/log\ncp /etc/pki/tls/certs/ca-bundle.crt /root/ca.pem\n" + ENABLE)
    machine.boot()
    machine.wait_for("failed failed")
    found, code = findings(machine)
    assert found["settings"]["Status"] == found["state directory"]["Status"] == "Success" and code == 0
    assert [name for name in closed if f" {name}={closed[name]} " not in found["unit"]["Note"]] == []

    opened = "".join(f"{line}\n" for line in re.findall(r"ReadWriteDirectories=[^,\s]+", found["unit"]["Fix"]))
    machine.run("mkdir", "-p", *re.findall(r"`mkdir -p ([^`]+)`", found["unit"]["Fix"]))
    machine.write(f"/etc/systemd/system/{UNIT}.service.d/opened.conf", f"[Service]\n{opened}")
    machine.run("sed", "-i", "s,=/root/ca.pem,=/etc/ecs/ca.pem,", "/etc/ecs/ecs-start-task.conf")
    machine.run("mv", "/root/ca.pem", "/etc/ecs/ca.pem")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)
    machine.wait_for("active exited")
    found, code = findings(machine)
    assert found["unit"]["Status"] == "Success" and code == 0
    assert "started: arn:" in machine.read("/srv/log/it.log") and len(machine.tasks()) == 1
    said = machine.journal()
    assert "as root" not in said and "Read-only file system" in said and "the unit cannot see" in said
