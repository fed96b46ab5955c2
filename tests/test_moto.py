"""The main job against moto's ECS with moto's IAM on, which verifies signature, session token and permission."""

import json
import re
import signal

import pytest

from standin import Host, Program
from standin.answers import HANG_UP, as_json, placed_then
from standin.imds import Imds
from standin.moto_ecs import FAMILY, MotoEcs
from test_situations import wait_until


@pytest.fixture
def launch(tmp_path):
    """launch(allowed) is the program on an instance whose role may do that; moto is `program.moto`."""
    started = []

    def make(*allowed):
        moto = MotoEcs(allowed)
        host = Host(moto.instance, Imds(moto.credentials), moto)
        started.extend([host, moto])
        program = Program(host, tmp_path)
        program.moto = moto
        return program

    yield make
    for each in started:
        each.close()
    started[0].verify()


def test_one_task_is_started_by_the_instance_in_its_cluster(launch):
    program = launch("ecs:StartTask")
    outcome = program.run()
    assert outcome.status == 0
    (task,) = program.moto.tasks()
    instance = program.host.instance
    assert task["containerInstanceArn"] == instance.arn
    assert task["startedBy"] == instance.id
    assert task["clusterArn"].endswith(f":cluster/{instance.cluster}")
    assert task["taskDefinitionArn"].endswith(f":task-definition/{FAMILY}:1")
    assert task["taskArn"] in outcome.stdout


def test_a_second_definition_is_a_second_task(launch):
    program = launch("ecs:StartTask")
    program.moto.client("ecs").register_task_definition(
        family="log_agent", containerDefinitions=[{"name": "l", "image": "busybox", "memory": 16}]
    )
    program.host.instance.definitions["log_agent"] = 1
    assert program.run(ECS_START_TASK_DEFINITION=f"{FAMILY},log_agent").status == 0
    assert len(program.moto.tasks()) == 2


def test_a_wrong_secret_is_refused_by_its_signature(launch):
    program = launch("ecs:StartTask")
    wrong = program.moto.credentials.document() | {"SecretAccessKey": "another-secret-access-key-of-40-letters"}
    program.host.always("credentials", as_json(wrong))
    outcome = program.run()
    assert outcome.status == 77 and program.moto.tasks() == []
    assert "InvalidSignatureException" in outcome.stderr


def test_a_wrong_session_token_is_refused(launch):
    program = launch("ecs:StartTask")
    wrong = program.moto.credentials.document() | {"Token": "another-session-token"}
    program.host.always("credentials", as_json(wrong))
    outcome = program.run()
    assert outcome.status == 77 and program.moto.tasks() == []
    assert "UnrecognizedClientException" in outcome.stderr


def test_a_role_without_the_permission_is_77_and_the_permission_is_named(launch):
    program = launch("ecs:Poll")
    outcome = program.run(ECS_START_TASK_TIMEOUT="3s", verbosity=None)
    assert outcome.status == 77 and program.moto.tasks() == []
    assert re.search(r"ecs:StartTask.*ecsInstanceRole|ecsInstanceRole.*ecs:StartTask", outcome.stderr)


def test_a_definition_that_does_not_exist_is_76_in_ecs_words(launch):
    program = launch("ecs:StartTask")
    outcome = program.run("-t", "unknown_def")
    assert outcome.status == 76 and program.moto.tasks() == []
    assert re.search(r"unknown_def.*Unable to describe task definition", outcome.stderr)


def test_a_dry_run_starts_nothing_and_names_the_role(launch):
    program = launch("ecs:StartTask")
    outcome = program.run("--dry-run", "--output", "json")
    assert outcome.status == 0 and program.moto.tasks() == []
    assert json.loads(outcome.stdout)["role"] == "ecsInstanceRole"


def test_a_second_run_finds_the_task_and_starts_nothing(launch):
    program = launch("ecs:StartTask")
    assert [program.run().status, program.run().status] == [0, 0]
    assert len(program.moto.tasks()) == 1


def test_two_runs_at_the_same_time_start_one_task(launch):
    program = launch("ecs:StartTask")
    program.host.instance.lives[FAMILY] = ((1, "PENDING"), (1.2, "RUNNING"))
    runs = [program.start(), program.start()]
    assert [run.finish().status for run in runs] == [0, 0]
    assert len(program.moto.tasks()) == 1


def test_a_lost_answer_does_not_make_a_second_task(launch):
    program = launch("ecs:StartTask")
    program.host.instance.lives[FAMILY] = ((1, "PENDING"), (1.2, "RUNNING"))
    program.host.script("StartTask", placed_then(HANG_UP))
    assert program.run().status == 0
    assert len(program.moto.tasks()) == 1


STAY = ("ecs:StartTask", "ecs:StopTask", "ecs:DescribeTasks", "ecs:DescribeContainerInstances")


@pytest.fixture
def stay(launch):
    """stay(actions, ...) is the program whose run stays, once its result is on stdout."""
    runs = []

    def start(allowed, *arguments):
        program = launch(*allowed)
        runs.append(program.start(*arguments))
        assert runs[-1].process.stdout.readline().startswith(f"{FAMILY}\tstarted\t".encode())
        return program

    yield start
    for run in runs:
        run.signal(signal.SIGTERM)
        run.finish(killed=True)


def die(program):
    """In moto somebody stops the task; the agent shows it."""
    (task,) = program.host.instance.tasks
    program.moto.client("ecs").stop_task(cluster=program.host.instance.cluster, task=task.arn, reason="a user")
    task.stop("a user", after=0)


def test_a_task_that_stays_comes_back_and_is_stopped_last(stay):
    program = stay(STAY, "--restart", "always", "--when-draining", "stop")
    die(program)
    wait_until(lambda: len(program.host.instance.tasks) == 2 and "why the task" in program.log_file.read_text())
    assert program.host.asked("DescribeContainerInstances")[0].answer.status == program.host.asked("DescribeTasks")[0].answer.status == 200
    program.host.metadata_service.lifecycle_state = "Terminated"
    wait_until(lambda: program.host.asked("StopTask"))
    (running,) = program.host.instance.tasks[1:]
    described = program.moto.client("ecs").describe_tasks(cluster=program.host.instance.cluster, tasks=[running.arn])["tasks"]
    assert described[0]["desiredStatus"] == "STOPPED"
    assert described[0]["stoppedReason"] == "ecs-start-task: its target lifecycle state is Terminated"


def test_a_task_that_stays_without_permission_to_ask_comes_back_all_the_same(stay):
    program = stay(STAY[:1], "--restart", "on-failure")
    die(program)
    wait_until(lambda: len(program.host.instance.tasks) == 2)
    assert program.log_file.read_text().count("the role lacks permission (ecs:DescribeTasks)") == 1
    assert {request.answer.status for request in program.host.asked("DescribeContainerInstances", "DescribeTasks")} == {403}


def checked(program):
    """The findings of check by name, and its exit code."""
    outcome = program.run("check", "--output", "json", verbosity=None)
    assert program.moto.tasks() == []
    return {each["Check"]: each for each in json.loads(outcome.stdout)}, outcome.status


def test_check_finds_the_signature_accepted_and_starting_not_allowed(launch):
    findings, status = checked(launch("ecs:ListTasks"))
    assert findings["signature"]["Status"] == "Success" and status == 77
    assert findings["permission"]["Status"] == "Failed" and "ecs:StartTask" in findings["permission"]["Fix"]
    assert findings["task definition"]["Status"] == "Skipped"


def test_check_reads_the_definition_where_the_role_may(launch):
    # moto evaluates IAM first, like ECS, but does not report MISSING for an unknown instance.
    findings, status = checked(launch("ecs:StartTask", "ecs:DescribeTaskDefinition"))
    assert f"{FAMILY}:1 is ACTIVE" in findings["task definition"]["Note"] and status == 0
    assert findings["permission"]["Status"] == "Warning"


def test_check_with_a_wrong_secret_blames_the_signature(launch):
    program = launch("ecs:StartTask")
    wrong = program.moto.credentials.document() | {"SecretAccessKey": "another-secret-access-key-of-40-letters"}
    program.host.always("credentials", as_json(wrong))
    findings, status = checked(program)
    assert (findings["signature"]["Status"], findings["permission"]["Status"], status) == ("Failed", "Skipped", 77)
