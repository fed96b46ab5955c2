"""Keeping tasks running: deaths, exits, users, crashes, draining, on the built binary. What takes minutes is under the virtual clock."""

import json
import os
import re
import signal
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from standin import Answer
from standin.agent import Agent
from standin.answers import HANG_UP, THROTTLED, ecs_error, placed_then, stall
from standin.instance import RUNS, Container
from test_situations import wait_until

FAMILY, APP = "my_task_def", "app"
ALWAYS = ("--restart", "always")
LAST = (*ALWAYS, "--when-draining", "stop")
#: How the tasks of these families stop.
ENDS = {"failed": 1, "well": 0, "stopped": 143}
#: The agent is polled every 10 to 11 s.
SEEN = 12


def die(task):
    task.life = ((0, "PENDING"), (0.01, "RUNNING"), (task.age, "STOPPED"))


def of(host, family=FAMILY):
    return [task for task in host.instance.tasks if task.family == family]


def alive(host, family=FAMILY):
    return [task for task in of(host, family) if task.status() != "STOPPED" and not task.unwanted]


@pytest.fixture
def host(host):
    host.metadata_service.allowed |= {"DescribeTasks", "StopTask", "DescribeContainerInstances"}
    host.instance.definitions |= dict.fromkeys([*ENDS, APP], 1)
    host.instance.containers |= {family: (Container(exit_code=code),) for family, code in ENDS.items()}
    return host


@pytest.fixture
def stay(program, host):
    """stay(...) is a run that stays, once its result is on stdout; each is ended at the end of the test."""
    runs = []

    def start(*arguments, **settings):
        run = program.start(*arguments, verbosity="-v", **settings)
        runs.append(run)
        run.said = run.process.stdout.readline().decode()
        return run

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.signal(signal.SIGTERM)
            run.finish(killed=True)


def log(program):
    return program.log_file.read_text()


def kill(run):
    run.signal(signal.SIGKILL)
    run.finish(killed=True)


def test_a_task_that_died_comes_back_and_everybody_can_see_why(stay, program, host, unit, manager):
    run = stay(*ALWAYS, **unit)
    assert re.match(rf"{FAMILY}\tstarted\tarn:\S+\tRUNNING\n", run.said)
    die(of(host)[0])
    wait_until(lambda: len(alive(host)) == 1 and len(of(host)) == 2 and "why the task" in log(program))
    said = b""
    while b"restarted once, last" not in said or b"(exit code 1)" not in said:
        said = manager.recv(4096)
    assert said.startswith(f"STATUS=keeping 1 task running; {FAMILY} restarted once, last ".encode())
    known = json.loads(program.run("status", "-o", "json", verbosity=None).stdout)["tasks"][0]
    assert (known["status"], known["restarts"]) == ("RUNNING", 1)
    assert known["lastStop"]["code"] == "EssentialContainerExited" and known["lastStop"]["exitCodes"] == "exit code 1"
    run.signal(signal.SIGTERM)
    outcome = run.finish(killed=True)
    assert outcome.status == -signal.SIGTERM
    assert f"the task {of(host)[1].arn} keeps running" in outcome.log.splitlines()[-1]
    assert len(alive(host)) == 1


@pytest.mark.parametrize(
    ("mode", "back"),
    [("always", {"failed", "well", "stopped"}), ("on-failure", {"failed"}), ("no", set())],
    ids=["always", "on-failure", "no"],
)
def test_which_ends_are_followed_by_a_new_start(mode, back, stay, program, host):
    host.instance.ecs_lag = 1
    stay("--restart", mode, "--when-draining", "stop", ECS_START_TASK_DEFINITION=",".join(ENDS))
    wait_until(lambda: all(of(host, family) for family in ENDS))
    for family in ("failed", "well"):
        die(of(host, family)[0])
    of(host, "stopped")[0].stop("a user")
    wait_until(lambda: all(len(of(host, family)) == 2 for family in back))
    wait_until(lambda: log(program).count("why the task") == len(ENDS))
    time.sleep(1)
    assert {family for family in ENDS if len(of(host, family)) == 2} == back
    status = program.run("status", "--restart", mode, verbosity=None, ECS_START_TASK_DEFINITION="well").status
    assert status == (75 if mode == "no" else 0)


def test_on_failure_without_permission_acts_as_always_and_says_so_once(stay, program, host):
    host.metadata_service.allowed -= {"DescribeTasks"}
    stay("--restart", "on-failure", ECS_START_TASK_DEFINITION="well")
    for deaths in (1, 2):
        wait_until(lambda deaths=deaths: log(program).count("well: started: ") == deaths)
        die(of(host, "well")[-1])
        wait_until(lambda deaths=deaths: len(of(host, "well")) == deaths + 1)
    assert log(program).count("unless it ended well, it is restarted") == 2
    assert log(program).count("(ecs:DescribeTasks); it is restarted as with ECS_START_TASK_RESTART=always") == 1


def test_an_agent_that_is_silent_proves_nothing_and_docker_takes_all_tasks(stay, program, host):
    stay(*ALWAYS, ECS_START_TASK_DEFINITION=f"{FAMILY},log_agent")
    host.always("tasks", Answer(500))
    wait_until(lambda: "waiting for it" in log(program))
    asked = len(host.asked("tasks"))
    wait_until(lambda: len(host.asked("tasks")) > asked)
    assert len(host.instance.tasks) == 2 and log(program).count("waiting for it") == 1
    del host.standing["tasks"]
    for task in host.instance.tasks:
        die(task)
    wait_until(lambda: len(alive(host)) == len(alive(host, "log_agent")) == 1)
    assert len(host.instance.tasks) == 4


def test_an_agent_that_is_restarted_changes_nothing(stay, program, host):
    stay(*ALWAYS)
    host.agent.close()
    # It has the port again, before another test may take it, and refuses connections.
    host.agent = host.listener("agent", Agent(host.instance), host.agent.server_address)
    wait_until(lambda: "waiting for it" in log(program))
    host.agent.open()
    wait_until(lambda: "the ECS agent responds again" in log(program))
    assert len(alive(host)) == len(of(host)) == 1


def test_nothing_is_started_in_standby_and_keeping_goes_on_afterwards(stay, program, host):
    stay(*ALWAYS)
    host.metadata_service.lifecycle_state = "Standby"
    wait_until(lambda: "target lifecycle state is Standby" in log(program))
    die(of(host)[0])
    wait_until(lambda: "has stopped" in log(program))
    time.sleep(2)
    assert len(of(host)) == 1
    host.metadata_service.lifecycle_state = "InService"
    wait_until(lambda: len(alive(host)) == 1)


def terminated(host):
    host.metadata_service.lifecycle_state = "Terminated"


def spot(host):
    at = datetime.now(timezone.utc) + timedelta(seconds=110)
    host.metadata_service.spot_action = {"action": "terminate", "time": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


def drained(host):
    host.instance.status = "DRAINING"
    host.instance.place("log_agent", "ecs-svc/2", life=RUNS).stop("draining", after=1)


@pytest.mark.parametrize("leave", [terminated, spot, drained])
def test_our_tasks_are_the_last_to_leave(leave, stay, program, host):
    app = host.instance.place(APP, "ecs-svc/1", life=((0, "RUNNING"),))
    stay(*LAST)
    leave(host)
    wait_until(lambda: "are stopped last" in log(program))
    time.sleep(6)
    assert not host.asked("StopTask")
    app.stop("draining")
    wait_until(lambda: host.asked("StopTask"))
    stopped = json.loads(host.asked("StopTask")[0].body)
    assert stopped["task"] == of(host)[0].arn and stopped["reason"].startswith("ecs-start-task: ")
    wait_until(lambda: "has stopped; this program stopped it" in log(program))
    assert f"[INFO] {FAMILY}: ECS is stopping the task {of(host)[0].arn}\n" in log(program)
    assert f"[INFO] {FAMILY}: the task {of(host)[0].arn} has stopped; this program stopped it" in log(program)
    assert leave is not drained or "out of service: ECS reports DRAINING" in log(program)
    assert len(of(host)) == 1 and len(host.asked("StopTask")) == 1


def test_a_spot_deadline_is_kept_whatever_else_is_here(stay, program, host):
    host.instance.place(APP, "ecs-svc/daemon", life=((0, "RUNNING"),))
    stay(*LAST)
    spot(host)
    host.metadata_service.spot_action["time"] = (datetime.now(timezone.utc) + timedelta(seconds=62)).strftime("%Y-%m-%dT%H:%M:%SZ")
    wait_until(lambda: host.asked("StopTask"))
    assert [task.family for task in host.instance.tasks if task.unwanted] == [FAMILY]


def test_what_was_there_already_is_not_stopped(stay, program, host):
    host.instance.place(FAMILY, "ecs-svc/1", life=((0, "RUNNING"),))
    assert "already-running" in stay(*LAST).said
    terminated(host)
    wait_until(lambda: "are stopped last" in log(program))
    host.instance.place(FAMILY, "ecs-svc/1", life=((0, "STOPPED"),))
    time.sleep(SEEN)
    assert not host.asked("StopTask")


def test_a_stop_that_is_throttled_or_whose_answer_is_lost_is_retried(stay, program, host):
    stay(*LAST)
    host.script("StopTask", THROTTLED, HANG_UP)
    terminated(host)
    wait_until(lambda: len(host.asked("StopTask")) == 3)
    wait_until(lambda: of(host)[0].unwanted)


def test_a_stop_that_is_refused_is_said_once_with_what_it_means(stay, program, host):
    stay(*LAST)
    host.script("StopTask", ecs_error("ClientException", "not today"))
    terminated(host)
    wait_until(lambda: "cannot be stopped" in log(program))
    time.sleep(6)
    (line,) = [line for line in log(program).splitlines() if "48 hours" in line]
    assert "[WARN]" in line and of(host)[0].arn in line and "not today" in line and "ecs:StopTask" in line
    assert len(host.asked("StopTask")) == 1 and not of(host)[0].unwanted


def test_a_stop_that_is_denied_is_said_at_once_and_retried(stay, program, host, unit, manager):
    host.metadata_service.allowed -= {"StopTask"}
    stay(*LAST, **unit)
    terminated(host)
    wait_until(lambda: "is not stopped yet" in log(program))
    said = b""
    while b"cannot be stopped" not in said:
        said = manager.recv(4096)
    assert b"ecs:StopTask" in said
    (line,) = [line for line in log(program).splitlines() if "is not stopped yet" in line]
    assert f"[WARN] {FAMILY}: the task {of(host)[0].arn} is not stopped yet: " in line
    assert "grant" in line and "ecs:StopTask" in line and "retrying in" in line


def in_the_brake(run, program, host):
    for count in (1, 2):
        wait_until(lambda count=count: len(of(host)) == count and of(host)[-1].status() == "RUNNING")
        die(of(host)[-1])
    wait_until(lambda: log(program).count("why the task") == 2)
    assert "it is restarted at 2" in log(program)
    what_a_person_sees(program)


def what_a_person_sees(program):
    outcome = program.run("status", verbosity=None)
    why = "Essential container in task exited; container main: exit code 1"
    assert outcome.status == 75 and re.search(rf"1 restart, last stopped at 2\S+Z \({why}\), next attempt at 2\S+Z\n", outcome.stdout)
    known = json.loads(program.run("status", "-o", "json", verbosity=None).stdout)["tasks"][0]
    stop = known["lastStop"]
    assert (known["restarts"], stop["code"], stop["exitCodes"]) == (1, "EssentialContainerExited", "exit code 1")
    assert stop["reason"].startswith("Essential container in task exited") and known["nextAttempt"] > stop["at"]


def with_a_question_open(run, program, host):
    host.script("StartTask", placed_then(stall(60)))
    die(of(host)[0])
    wait_until(lambda: len(of(host)) == 2)


def while_all_is_well(run, program, host):
    pass


@pytest.mark.parametrize("stage", [while_all_is_well, in_the_brake, with_a_question_open])
def test_a_crash_is_followed_by_one_task(stage, stay, program, host):
    run = stay(*ALWAYS)
    stage(run, program, host)
    kill(run)
    stay(*ALWAYS)
    wait_until(lambda: len(alive(host)) == 1)
    time.sleep(SEEN)
    assert len(alive(host)) == 1


def test_after_a_crash_while_the_instance_leaves_our_task_is_stopped_and_none_started(stay, program, host):
    app = host.instance.place(APP, "ecs-svc/1", life=((0, "RUNNING"),))
    run = stay(*LAST)
    terminated(host)
    wait_until(lambda: "are stopped last" in log(program))
    kill(run)
    app.stop("draining")
    again = program.start(*LAST)
    wait_until(lambda: host.asked("StopTask"))
    again.signal(signal.SIGTERM)
    again.finish(killed=True)
    assert of(host)[0].unwanted and len(of(host)) == 1


def test_a_restart_adopts_what_runs_and_brings_back_what_does_not(stay, program, host):
    for count, outcome in ((1, "started"), (1, "already-running"), (2, "started")):
        run = stay(*ALWAYS)
        assert outcome in run.said and len(of(host)) == count
        run.signal(signal.SIGTERM)
        run.finish(killed=True)
        if outcome == "already-running":
            die(of(host)[0])


def test_a_second_process_reports_and_ends(stay, program, host):
    first = stay(*ALWAYS)
    second = program.run(*ALWAYS)
    assert second.status == 0 and "already-running" in second.stdout
    assert f"process {first.process.pid} keeps the tasks running" in second.log
    assert len(host.asked("StartTask")) == 1


def test_a_second_process_starts_nothing_unless_it_is_told_not_to_stay(stay, program, host):
    first = stay(*ALWAYS)
    second = program.run("-t", "log_agent", *ALWAYS)
    assert second.status == 75 and len(host.asked("StartTask")) == 1
    assert f"process {first.process.pid} keeps the tasks of this instance running; only that process" in second.log
    third = program.run("-t", "log_agent", "--restart", "no")
    assert third.status == 0 and "started" in third.stdout and len(host.asked("StartTask")) == 2


def test_a_task_that_never_ran_ends_the_run_as_without_restart(program, host):
    assert program.run("-t", "unknown_def", *ALWAYS).status == 76


@pytest.mark.parametrize("setting", [ALWAYS, ("--when-draining", "stop")], ids=lambda setting: setting[0])
def test_what_is_not_awaited_cannot_be_kept(setting, program, host):
    assert program.run("--no-wait", *setting).status == 78
    assert not host.requests


@pytest.mark.parametrize("setting", ["--restart=sometimes", "--when-draining=no"])
def test_another_value_is_an_error(setting, program, host):
    outcome = program.run(setting)
    assert outcome.status == 2 and re.search("no, on-failure or always|keep or stop", outcome.stderr)


def test_staying_costs_next_to_nothing(stay, program, host):
    """What it asks, as that does not vary; of the time it takes, see make bench."""
    run = stay(*LAST)

    def spoken():
        return [line for line in log(program).splitlines() if "[DEBUG]" not in line]

    begun, lines = len(host.requests), spoken()
    time.sleep(20)
    asked = [request.operation for request in host.requests[begun:]]
    assert set(asked) <= {"tasks", "metadata", "lifecycle_state", "spot_action"}
    assert len(asked) <= 2 * 6 + 3, asked
    assert spoken() == lines, "nothing is said while nothing happens"
    assert len(os.listdir(Path(f"/proc/{run.process.pid}/fd"))) < 20
