"""`ecs-start-task check` on a machine that boots: what the real systemd says of the units."""

import json

from boot.machine import leave_unit_of_the_page
from boot.test_user_data import CONFIGURE, ENABLE, INSTALL


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
    assert found["unit"]["Fix"] == "systemctl enable --now --no-block ecs-start-task"
    assert found["settings"]["Status"] == "Failed" and code == 78


def test_a_unit_that_failed(machine):
    machine.user_data(INSTALL + ENABLE)
    machine.boot()
    machine.wait_for("failed failed")
    found, _ = findings(machine)
    assert "the last run ended with exit-code 78" in found["unit"]["Note"]


def test_the_remedy_for_the_unit_of_the_page_works_as_it_stands(machine):
    leave_unit_of_the_page(machine)
    machine.user_data("#!/bin/sh\nsystemctl enable --now --no-block ecs-start-task\n" + INSTALL + CONFIGURE)
    machine.boot()
    found, code = findings(machine)
    assert found["unit"]["Status"] == "Failed" and code == 78
    machine.run("sh", "-e", "-c", found["unit"]["Fix"])
    machine.wait_for("active exited")
    found, code = findings(machine)
    assert found["unit"]["Status"] == "Success" and code == 0
