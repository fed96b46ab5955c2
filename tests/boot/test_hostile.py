"""Other users of a machine that boots, and a state directory that has been removed."""

import json

from boot.machine import UNIT, until
from boot.test_check import findings
from boot.test_failures import DROP_IN, SOON, status_text
from boot.test_user_data import CONFIGURE, ENABLE, INSTALL
from test_hostile_host import SQUATTER

NOBODY = 65534
#: A running task, if it came from the agent.
FAKE = {
    "Cluster": "my-cluster",
    "ContainerInstanceArn": "arn:aws:ecs:us-east-1:123456789012:container-instance/my-cluster/0123456789abcdef0123456789abcdef",
    "Tasks": [{"Arn": "arn:aws:ecs:us-east-1:123456789012:task/my-cluster/0", "KnownStatus": "RUNNING", "DesiredStatus": "RUNNING", "Family": "my_task_def", "Version": "3", "Containers": []}],
}
SQUAT = f"""
systemd-run --unit=squatter --uid={NOBODY} python3 /srv/squatter.py 51678 '{json.dumps(FAKE)}'
until ss -ltn 2>/dev/null | grep -q 51678 || grep -q ':C9DE .* 0A ' /proc/net/tcp; do sleep 0.1; done
"""


def test_a_user_who_listens_on_the_agent_s_port_first_is_not_the_agent(make_machine):
    machine = make_machine(closed=("agent",))
    machine.write("/srv/squatter.py", SQUATTER)
    machine.user_data(INSTALL + CONFIGURE + SQUAT + ENABLE)
    machine.boot()
    until("the unit says who is there", lambda: f"user {NOBODY} listens there" in machine.journal())
    assert machine.state() == "active running" and "agent" in status_text(machine) and machine.tasks() == []
    found, code = findings(machine)
    assert found["agent"]["Status"] == "Failed" and f"user {NOBODY} listens there" in found["agent"]["Note"] and code == 69
    machine.run("systemctl", "stop", "squatter")
    machine.host.agent.open()
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1 and "started: arn:" in machine.journal()


def test_a_state_directory_that_is_gone_is_found_again(machine):
    machine.write(DROP_IN, SOON)
    settings = "echo ECS_START_TASK_TIMEOUT=1s >> /etc/ecs/ecs-start-task.conf\n"
    machine.user_data(INSTALL + CONFIGURE + settings + "rm -rf /run/ecs-start-task\n" + ENABLE)
    machine.boot()
    create = "systemd-tmpfiles --create /usr/lib/tmpfiles.d/ecs-start-task.conf"
    until("the unit says what creates it", lambda: f"`{create}`" in machine.journal())
    until("the unit is restarted after 75", lambda: machine.show(UNIT, "ExecMainStatus") == ["75"])
    assert machine.tasks() == []
    found, _ = findings(machine)
    assert found["state directory"]["Status"] == "Warning" and found["state directory"]["Fix"].startswith(f"`{create}`")
    machine.run(*create.split())
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1
    found, code = findings(machine)
    assert found["state directory"]["Status"] == "Success" and code == 0
