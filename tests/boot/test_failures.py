"""What may go wrong at a boot; the unit must still start the task, once."""

import json
import re

from boot.machine import UNIT, until
from boot.test_user_data import CONFIGURE, ENABLE, EXAMPLE, INSTALL
from standin import answers

DROP_IN = f"/etc/systemd/system/{UNIT}.service.d/test.conf"
#: The unit waits 30 s between attempts, which would only make the tests slower.
SOON = "[Service]\nRestartSec=1\n"


def restarts(machine):
    return int(machine.show(UNIT, "NRestarts")[0])


def status_text(machine):
    return machine.show(UNIT, "StatusText")[0]


def test_an_agent_that_is_late_is_waited_for(make_machine):
    machine = make_machine(closed=("agent",))
    machine.user_data(EXAMPLE)
    # The boot finishes although the unit is still waiting.
    assert machine.boot() == "running"
    assert machine.state() == "active running"
    until("systemctl status says what is waited for", lambda: "agent" in status_text(machine))
    [unit] = [each for each in json.loads(machine.attempt("ecs-start-task", "check", "--output=json").stdout) if each["Check"] == "unit"]
    assert unit["Status"] == "Success" and unit["Note"].startswith("enabled, active (running): waiting for the ECS agent"), unit
    assert machine.tasks() == []
    machine.host.agent.open()
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1 and restarts(machine) == 0
    assert status_text(machine) == "my_task_def: started"


def test_a_stop_while_it_waits_is_no_failure_and_says_what_stays_behind(make_machine):
    machine = make_machine(closed=("agent",))
    machine.user_data(EXAMPLE)
    machine.boot()
    until("it waits for the agent", lambda: "agent" in status_text(machine))
    machine.run("systemctl", "stop", UNIT)
    assert machine.state() == "inactive dead" and restarts(machine) == 0
    assert re.search(r"ended by SIGTERM while waiting for the ECS agent.*; nothing was started", machine.journal())


def test_ecs_fails_its_first_start(make_machine):
    machine = make_machine(closed=("agent",))
    # docker is late, so the first ExecStartPre= of ecs.service fails; with Requires= our start would be cancelled.
    late = "[Service]\nExecStartPre=/usr/bin/test -e /run/ecs-has-failed\nRestart=on-failure\nRestartSec=1\nStartLimitBurst=1000\n"
    machine.write("/etc/systemd/system/docker.service.d/late.conf", late)
    machine.write("/etc/systemd/system/ecs.service.d/fails.conf", "[Service]\nRestartSec=2\nExecStopPost=/usr/bin/touch /run/ecs-has-failed\n")
    machine.user_data(EXAMPLE)
    machine.boot()
    until("ecs.service has recovered", lambda: machine.state("ecs.service") == "active running")
    assert "status=1/FAILURE" in machine.journal("ecs.service")
    machine.host.agent.open()
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1 and restarts(machine) == 0


def test_a_wrong_configuration_fails_once_with_a_clear_message(machine):
    machine.user_data(EXAMPLE.replace("ECS_START_TASK_DEFINITION", "ECS_START_TASK_DEFINITON"))
    machine.boot()
    machine.wait_for("failed failed")
    assert machine.booted() == "degraded"
    assert machine.show(UNIT, "ExecMainStatus", "NRestarts") == ["78", "0"]
    assert "did you mean ECS_START_TASK_DEFINITION?" in machine.journal()
    assert machine.journal().count("ECS_START_TASK_DEFINITON") == 1
    assert status_text(machine).startswith("failed: /etc/ecs/ecs-start-task.conf line ")
    assert machine.host.requests == []


def test_ecs_that_is_not_to_be_reached_for_a_while(make_machine):
    machine = make_machine(closed=("ecs",))
    machine.write(DROP_IN, SOON)
    machine.user_data(INSTALL + CONFIGURE + "echo ECS_START_TASK_TIMEOUT=2s >> /etc/ecs/ecs-start-task.conf\n" + ENABLE)
    machine.boot()
    until("the unit was restarted", lambda: restarts(machine) >= 2)
    machine.host.ecs.open()
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1


def test_why_it_waits_for_its_restart_is_in_its_status_and_errors_have_their_priority(machine):
    machine.host.script("StartTask", answers.ecs_error("ClientException", "TaskDefinition is inactive"))
    machine.user_data(EXAMPLE)
    machine.boot()
    machine.wait_for("activating auto-restart")
    said = machine.attempt("systemctl", "status", "--full", UNIT).stdout
    assert re.search(r'Status: "my_task_def: failed: .*TaskDefinition is inactive', said), said
    machine.run("journalctl", "--sync")
    journal = [machine.run("journalctl", "--unit", UNIT, "--output=cat", "--grep=^\\[", f"--priority={priority}") for priority in ("err", "info")]
    errors, all_of_it = [text.splitlines() for text in journal]
    assert len(errors) == 1 and errors[0].startswith("[ERROR] my_task_def: ")
    assert {line.partition(" ")[0] for line in all_of_it} == {"[INFO]", "[ERROR]"}


def test_ecs_that_refuses_for_a_while_is_asked_again_after_a_pause(machine):
    machine.host.script("StartTask", answers.ecs_error("ClientException", "TaskDefinition is inactive"))
    machine.write(DROP_IN, SOON)
    machine.user_data(EXAMPLE)
    machine.boot()
    machine.wait_for("active exited")
    refused, accepted = machine.host.asked("StartTask")
    assert accepted.at - refused.at > 15, "the pause under the unit is 30 s with jitter"
    assert len(machine.tasks()) == 1 and restarts(machine) == 1
    assert "TaskDefinition is inactive" in machine.journal()


def test_killed_before_ecs_answered_the_next_attempt_knows_of_the_task(machine):
    # The records are in a directory that a restart of the unit must not take away.
    machine.host.script("StartTask", answers.placed_then(answers.stall(60)))
    machine.write(DROP_IN, SOON)
    machine.user_data(EXAMPLE)
    machine.boot()
    until("the request was sent", lambda: machine.host.asked("StartTask"))
    machine.run("systemctl", "kill", "--signal=KILL", UNIT)
    machine.wait_for("active exited")
    assert restarts(machine) == 1
    assert len(machine.host.asked("StartTask")) == len(machine.tasks()) == 1
