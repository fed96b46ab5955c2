"""make demo: the main job on a stand-in instance on this machine, with moto's ECS and its IAM on.

The agent registers a moment after the program has begun, the role's credentials come from IMDSv2, and moto verifies
signature and permission. A second run must find the task and start nothing. It prints the task as ECS describes it,
and fails if anything is wrong.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from .host import Host
from .imds import Imds
from .moto_ecs import FAMILY, MotoEcs
from .program import BINARY, Program

REGISTERS_AFTER = 1.5


def say(title, *lines):
    print(f"\n\x1b[1m{title}\x1b[0m" if sys.stdout.isatty() else f"\n{title}")
    for line in lines:
        print(f"  {line}")
    sys.stdout.flush()


def introduce(host, moto):
    say(
        "A container instance, played on this machine:",
        f"ECS agent  {host.agent.url}   answers in {REGISTERS_AFTER} s, when it has registered in {host.instance.cluster}",
        f"IMDSv2     {host.imds.url}   gives the credentials of {host.metadata_service.role}",
        f"ECS        {host.ecs.url}   is moto, which verifies the signature and ecs:StartTask",
        f"EC2 knows the instance as {moto.ec2_id}, ECS as {host.instance.id}",
    )


def write_settings(program, directory):
    """What /etc/ecs/ecs-start-task.conf would contain, and the addresses of the stand-in services."""
    settings = directory / "ecs-start-task.conf"
    lines = [f"{name}={value}" for name, value in program.environment.items() if name.startswith(("AWS_", "ECS_"))]
    settings.write_text("\n".join(lines) + "\n")
    say(f"The settings, {settings}:", *lines)
    return settings


def run(settings, title):
    command = [BINARY, "--config", settings]
    say(title, f"$ {BINARY.name} --config {settings.name}")
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(command, env=environment, cwd=settings.parent, stderr=sys.stdout, timeout=60).returncode


def show(tasks):
    for task in tasks:
        say(
            "The task, as ECS describes it:",
            f"taskArn               {task['taskArn']}",
            f"taskDefinitionArn     {task['taskDefinitionArn']}",
            f"containerInstanceArn  {task['containerInstanceArn']}",
            f"startedBy             {task['startedBy']}",
            f"lastStatus            {task['lastStatus']}",
        )


def wrong(statuses, tasks, instance):
    """What is wrong, in words."""
    if any(statuses):
        yield f"the program ended with {' and '.join(map(str, statuses))}"
    if len(tasks) != 1:
        yield f"{len(tasks)} tasks exist"
    for task in tasks:
        if task["containerInstanceArn"] != instance.arn:
            yield "the task is on another instance"
        if task["startedBy"] != instance.id:
            yield "startedBy is not the container instance"
        if f"task-definition/{FAMILY}:1" not in task["taskDefinitionArn"]:
            yield "the task is of another definition"


def main():
    moto = MotoEcs()
    with Host(moto.instance, Imds(moto.credentials), moto, closed=("agent",)) as host, tempfile.TemporaryDirectory() as directory:
        introduce(host, moto)
        settings = write_settings(Program(host, directory), Path(directory))
        host.agent.open_after(REGISTERS_AFTER)
        statuses = [run(settings, "The program is run:"), run(settings, "It is run once more, and must start nothing:")]
        tasks = moto.tasks()
        show(tasks)
        host.verify()
    complaints = list(wrong(statuses, tasks, host.instance))
    say("Not as it must be: " + "; ".join(complaints) if complaints else "One task, started once, by the instance itself.")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()
