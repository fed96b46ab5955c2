"""The main job from user data to the running task, and everything that must not start another one."""

import json

import examples
from boot.machine import ETC_UNIT, UNIT, leave_unit_of_the_page, until
from standin.instance import UNSEEN

#: The shipped script. In test_examples, cloud-init extracts it from its MIME message.
EXAMPLE = examples.script()
INSTALL = "#!/bin/sh\nyum install -y ecs-start-task\n"
CONFIGURE = "echo ECS_START_TASK_DEFINITION=my_task_def >> /etc/ecs/ecs-start-task.conf\n"
ENABLE = "systemctl enable --now --no-block ecs-start-task\n"


def began(machine):
    """How often the program was started in this boot."""
    return machine.journal().count("ecs-start-task 0.")


def test_the_example_starts_the_task_exactly_once_and_says_so(machine):
    machine.user_data(EXAMPLE)
    assert machine.boot() == "running"
    machine.wait_for("active exited")
    [task] = machine.tasks()
    assert task.arn in machine.log()
    assert task.arn in machine.journal() and "WARN" not in machine.journal()
    assert task.arn in machine.run("systemctl", "status", "--full", UNIT)
    assert machine.run("stat", "--format=%a %U:%G", "/var/log/ecs/ecs-start-task.log") == "640 root:root\n"
    # Only the settings file, which user data changed, differs from the package.
    assert machine.attempt("rpm", "--verify", "ecs-start-task").stdout == "S.5....T.  c /etc/ecs/ecs-start-task.conf\n"


def test_values_of_the_host_are_in_the_definition_s_name_and_in_a_document(machine):
    machine.host.metadata_service.tags["Role"] = "web"
    machine.host.instance.definitions["agent-web"] = 1
    machine.write("/etc/ecs/ecs-start-task.d/host-values.json", (examples.EXAMPLES / "host-values.json").read_text())
    machine.user_data(EXAMPLE.replace("my_task_def", "agent-{tag:Role:-default}"))
    assert machine.boot() == "running"
    machine.wait_for("active exited")
    assert sorted(task.family for task in machine.tasks()) == ["agent-web", "log_agent"]
    bodies = [json.loads(request.body) for request in machine.host.asked("StartTask")]
    (overrides,) = [body["overrides"] for body in bodies if "overrides" in body]
    environment = {each["name"]: each["value"] for each in overrides["containerOverrides"][0]["environment"]}
    assert environment == {"INSTANCE_ID": "i-0123456789abcdef0", "AVAILABILITY_ZONE": "us-east-1a", "ROLE": "web"}
    assert len(machine.host.asked("tags/instance/Role")) == 1


def test_the_configuration_may_be_there_before_the_package(machine):
    machine.user_data(INSTALL.replace("yum", CONFIGURE + "yum") + ENABLE)
    assert machine.boot() == "running"
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1
    assert machine.read("/etc/ecs/ecs-start-task.conf") == "ECS_START_TASK_DEFINITION=my_task_def\n"
    assert machine.read("/etc/ecs/ecs-start-task.conf.rpmnew")


def test_installing_enables_and_starts_nothing(machine):
    machine.user_data(INSTALL + CONFIGURE)
    machine.boot()
    assert machine.state() == "inactive dead"
    assert machine.attempt("systemctl", "is-enabled", UNIT).stdout == "disabled\n"
    assert machine.host.requests == []


def test_restarts_of_docker_and_ecs_start_nothing(machine):
    machine.user_data(EXAMPLE)
    machine.boot()
    machine.wait_for("active exited")
    for command in (("restart", "ecs"), ("restart", "docker"), ("kill", "--signal=KILL", "ecs"), ("isolate", "multi-user.target")):
        machine.run("systemctl", *command)
    until("ecs.service is back", lambda: machine.state("ecs.service") == "active running")
    assert machine.state() == "active exited"
    assert began(machine) == 1 and len(machine.tasks()) == 1


def test_the_next_boot_starts_one_task_again(machine):
    machine.user_data(EXAMPLE)
    machine.boot()
    machine.wait_for("active exited")
    machine.shut_down()
    # The tasks end with the boot, and user data runs at the first boot only.
    machine.tasks()[0].life = UNSEEN
    machine.user_data(None)
    assert machine.boot() == "running"
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 2 and machine.tasks()[1].status() == "RUNNING"
    assert began(machine) == 1 and machine.tasks()[1].arn in machine.journal()


def test_called_straight_from_user_data_it_ends_at_once_and_the_boot_goes_on(make_machine):
    # As on an instance: the agent is silent until ecs.service runs, which waits for user data.
    machine = make_machine(closed=("agent",))
    machine.user_data(INSTALL + CONFIGURE + "ecs-start-task\necho ended with $?\n")
    assert machine.boot() == "running"
    assert machine.state("ecs.service") == "active running"
    said = machine.read("/var/log/cloud-init-output.log")
    assert "ended with 78" in said and "systemctl enable --now --no-block ecs-start-task" in said, said
    assert machine.tasks() == []


def test_the_unit_that_the_page_left_behind(make_machine):
    # Its script waits for the agent when somebody changes over.
    machine = make_machine(closed=("agent",))
    leave_unit_of_the_page(machine)
    machine.user_data("#!/bin/sh\nsystemctl enable --now --no-block ecs-start-task\n" + INSTALL + CONFIGURE)
    machine.boot()
    assert "CGroup" in machine.attempt("systemctl", "status", UNIT).stdout and machine.state() == "active running"
    assert machine.attempt("systemctl", "is-enabled", UNIT).stdout == "enabled\n", "the package keeps its hands off"
    said = machine.read("/var/log/cloud-init-output.log")
    assert said.count(f"warning: {ETC_UNIT} hides the unit of this package") == 1, said
    commands = said.partition("To change over, run:\n")[2].splitlines()[:4]
    for command in commands:
        machine.run(*command.split())
    machine.host.agent.open()
    machine.wait_for("active exited")
    assert machine.show(UNIT, "FragmentPath")[0].endswith("/lib/systemd/system/ecs-start-task.service")
    assert len(machine.tasks()) == 1
