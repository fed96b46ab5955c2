"""Tasks that stay, under the unit: a death, a crash, a restart by hand, a shutdown, a reboot, and the instance that leaves."""

import json

from boot.machine import UNIT, until
from boot.test_failures import DROP_IN, SOON, restarts, status_text
from boot.test_user_data import CONFIGURE, ENABLE, INSTALL
from standin.instance import UNSEEN

STAY = "printf 'ECS_START_TASK_RESTART=always\\nECS_START_TASK_WHEN_DRAINING=stop\\n' >> /etc/ecs/ecs-start-task.conf\n"
KEEPING = "keeping 1 task running"


def main_process(machine):
    return machine.show(UNIT, "MainPID")[0]


def test_a_task_is_kept_through_crash_restart_and_reboot_and_leaves_last(machine):
    machine.host.metadata_service.allowed |= {"DescribeTasks", "StopTask", "DescribeContainerInstances"}
    machine.write(DROP_IN, SOON)
    machine.user_data(INSTALL + CONFIGURE + STAY + ENABLE)
    assert machine.boot() == "running"
    a_death_is_followed_by_a_start(machine)
    who_comes_after_a_crash_or_a_restart_adopts(machine)
    machine.shut_down()
    last = machine.log().splitlines()[-1]
    assert "ended by SIGTERM" in last and f"the task {machine.tasks()[1].arn} keeps running" in last
    assert not machine.host.asked("StopTask")

    for task in machine.tasks():
        task.life = UNSEEN
    machine.user_data(None)
    assert machine.boot() == "running"
    until("the next boot keeps a task of its own", lambda: status_text(machine) == KEEPING)
    assert len(machine.tasks()) == 3 and machine.state() == "active running" and restarts(machine) == 0
    it_leaves_last(machine)


def a_death_is_followed_by_a_start(machine):
    until("it keeps", lambda: status_text(machine) == KEEPING)
    [task] = machine.tasks()
    task.life = ((0, "PENDING"), (0.01, "RUNNING"), (task.age, "STOPPED"))
    until("it keeps what it has restarted", lambda: status_text(machine).startswith(f"{KEEPING}; my_task_def restarted once, last "))
    assert f'Status: "{KEEPING}; my_task_def restarted once' in machine.run("systemctl", "status", "--full", UNIT)
    assert len(machine.tasks()) == 2 and machine.state() == "active running"


def who_comes_after_a_crash_or_a_restart_adopts(machine):
    for command in (("kill", "--signal=KILL"), ("restart",)):
        before = main_process(machine)
        machine.run("systemctl", *command, UNIT)
        until("another process keeps it", lambda before=before: main_process(machine) not in (before, "0"))
        until("it keeps", lambda: status_text(machine).startswith(f"{KEEPING}; my_task_def restarted once"))
        assert len(machine.tasks()) == 2 and machine.state() == "active running"
    assert machine.log().count("already running") == 2


def it_leaves_last(machine):
    app = machine.host.instance.place("log_agent", "ecs-svc/1", life=((0, "RUNNING"),))
    machine.host.metadata_service.lifecycle_state = "Terminated"
    # Another process, which sees it at once.
    machine.run("systemctl", "restart", UNIT)
    until("it waits for the other task", lambda: "this instance is going out of service" in status_text(machine) and "other tasks here: 1" in status_text(machine))
    assert not machine.host.asked("StopTask")
    app.stop("draining")
    until("its own is stopped", lambda: machine.host.asked("StopTask"))
    [request] = machine.host.asked("StopTask")
    assert json.loads(request.body)["task"] == machine.tasks()[2].arn
