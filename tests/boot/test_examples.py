"""The examples as instances take them: cloud-init runs what is shipped, with nothing but the repository's address replaced."""

import json

import pytest

from boot.machine import REPOSITORY
from examples import CLOUD_CONFIG, GOLDEN_AMI, REPOSITORY as SHIPPED, USER_DATA, users_part

REPO_FILE = "/etc/yum.repos.d/ecs-start-task.repo"
#: What an image may not keep of the instance that it was made of, and where it is looked for.
SECRET = "of-the-instance-that-was-baked"
PLACES = ("/etc", "/root", "/var/lib/ecs", "/var/log/ecs", "/var/lib/cloud/instances")
#: The modules of Amazon Linux's cloud.cfg that these examples need, in its order, for its distribution.
CLOUD_CFG = """
datasource_list: [NoCloud]
network: {config: disabled}
cloud_init_modules: [write-files]
cloud_config_modules: [yum-add-repo, runcmd]
cloud_final_modules: [package-update-upgrade-install, scripts-user]
system_info: {distro: amazon}
"""
#: All that cloud-init does at a boot, in the machine's cloud-final.service.
STAGES = """#!/bin/sh
cloud-init init
cloud-init modules --mode=config
cloud-init modules --mode=final
"""


def launch(machine, user_data, instance="i-0123456789abcdef0"):
    """Boot the instance with this user data, in which cloud-init must find nothing amiss."""
    machine.write("/etc/cloud/cloud.cfg", CLOUD_CFG)
    machine.write("/var/lib/cloud/seed/nocloud/meta-data", f"instance-id: {instance}\n")
    machine.write("/var/lib/cloud/seed/nocloud/user-data", of_this_repository(user_data))
    machine.user_data(STAGES)
    assert machine.boot() == "running"
    assert json.loads(machine.read("/var/lib/cloud/data/result.json"))["v1"]["errors"] == [], machine


def of_this_repository(example):
    return example.replace(SHIPPED, f"http://{REPOSITORY}")


def assert_started(machine, repository):
    """The task was started exactly once, in the cluster of the example, by a package from its repository."""
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1
    assert machine.read("/etc/ecs/ecs.config") == "ECS_CLUSTER=your_cluster_name\n"
    assert machine.read(REPO_FILE) == (repository / "ecs-start-task.repo").read_text()


@pytest.fixture
def machine(machine):
    """A machine that knows no repository yet."""
    machine.write(REPO_FILE, "")
    return machine


def test_user_data(machine, repository):
    launch(machine, USER_DATA)
    assert_started(machine, repository)


def test_cloud_config(machine, repository):
    launch(machine, CLOUD_CONFIG)
    said = machine.run("cloud-init", "schema", "--config-file", "/var/lib/cloud/seed/nocloud/user-data")
    assert said.startswith("Valid cloud-config")
    assert_started(machine, repository)


def test_golden_ami(machine, repository):
    def secrets():
        return machine.attempt("grep", "--recursive", "--no-messages", "--files-with-matches", SECRET, *PLACES).stdout.split()

    for path in ("/var/lib/ecs/data/agent.db", "/var/log/ecs/ecs-agent.log", "/root/.aws/credentials", "/etc/ssh/ssh_host_rsa_key"):
        machine.write(path, SECRET)
    machine.write("/etc/ecs/ecs.config", f"ECS_CLUSTER={SECRET}\n")
    launch(machine, f"#!/bin/sh\n: {SECRET}\n", "i-baked")
    assert len(secrets()) > 5
    machine.write("/root/golden-ami.sh", of_this_repository(GOLDEN_AMI))
    machine.run("sh", "/root/golden-ami.sh")
    assert machine.tasks() == [] and machine.state() == "inactive dead"
    assert secrets() == [] and machine.read("/etc/machine-id") == ""
    machine.shut_down()
    launch(machine, users_part())
    assert_started(machine, repository)
