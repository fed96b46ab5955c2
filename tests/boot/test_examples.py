"""The examples on instances: cloud-init runs what is shipped, with only the repository's address and key replaced."""

import json
import shutil

import pytest

from boot.machine import REPO_FILE, REPO_KEY, REPOSITORY
from examples import CLOUD_CONFIG, GOLDEN_AMI, NO_REPOSITORY, USER_DATA, users_part
from package.tools import attempt, run

#: What an image must not keep of the instance that it is made from, and where it is.
SECRET = "of-the-instance-that-was-baked"
SEED = "/var/lib/systemd/random-seed"
KEEP_IT = """
/etc/hostname
/etc/ssh/ssh_host_rsa_key
/home/ec2-user/.bash_history
/home/ec2-user/.ssh/authorized_keys
/root/.aws/credentials
/root/.bash_history
/root/.git-credentials
/root/.netrc
/root/.python_history
/root/.ssh/id_ed25519
/var/lib/amazon/ssm/Vault/Store/RegistrationKey
/var/lib/ecs/data/agent.db
/var/lib/systemd/random-seed
/var/log/amazon/ssm/amazon-ssm-agent.log
/var/log/audit/audit.log
/var/log/ecs/ecs-agent.log
/var/log/secure
/var/tmp/settings
""".split()
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
    """Boot the instance with this user data, about which cloud-init must not report anything."""
    machine.write("/etc/cloud/cloud.cfg", CLOUD_CFG)
    machine.write("/var/lib/cloud/seed/nocloud/meta-data", f"instance-id: {instance}\n")
    machine.write("/var/lib/cloud/seed/nocloud/user-data", machine.filled_in(user_data))
    machine.user_data(STAGES)
    assert machine.boot() == "running"
    assert json.loads(machine.read("/var/lib/cloud/data/result.json"))["v1"]["errors"] == [], machine


def assert_started(machine, repository):
    """The task was started exactly once, in the cluster of the example, by a package from its repository."""
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1
    assert machine.read("/etc/ecs/ecs.config") == "ECS_CLUSTER=your_cluster_name\n"
    for file in (REPO_FILE, REPO_KEY):
        assert machine.read(file) == (repository / file.rpartition("/")[2]).read_text()


@pytest.fixture
def machine(machine):
    """A machine without a repository."""
    for file in (REPO_FILE, REPO_KEY):
        machine.write(file, "")
    return machine


def test_user_data(machine, repository):
    launch(machine, USER_DATA)
    assert_started(machine, repository)
    assert machine.log().count("i-0123456789abcdef0") == machine.log().count("begins on EC2 instance i-0123456789abcdef0") == 1


#: Packages of the distribution; ours is available only at its address.
DISTRIBUTION = f"[distribution]\nname=distribution\nbaseurl=http://{REPOSITORY}/\ngpgcheck=0\nexcludepkgs=ecs-start-task\n"


def test_user_data_without_a_repository(machine, repository):
    machine.write("/etc/yum.repos.d/distribution.repo", DISTRIBUTION)
    launch(machine, NO_REPOSITORY)
    machine.wait_for("active exited")
    assert len(machine.tasks()) == 1 and machine.read(REPO_FILE) == ""
    assert machine.read("/etc/ecs/ecs.config") == "ECS_CLUSTER=your_cluster_name\n"


def test_user_data_without_a_repository_installs_no_package_of_another_key(machine, repository, other_key, tmp_path):
    (tmp_path / "theirs").mkdir()
    for package in repository.glob("ecs-start-task-*.rpm"):
        shutil.copy(package, tmp_path / "theirs")
        run("rpmsign", "--delsign", tmp_path / "theirs" / package.name)
    other_key.make("sign", RPMS=tmp_path / "theirs")
    shutil.copytree(tmp_path / "theirs", repository, dirs_exist_ok=True)
    machine.write("/etc/yum.repos.d/distribution.repo", DISTRIBUTION)
    machine.write("/var/tmp/user-data", machine.filled_in(NO_REPOSITORY.replace("10 30 0", "0")))
    machine.boot()
    said = machine.attempt("bash", "/var/tmp/user-data")
    assert said.returncode == 1 and "NOT INSTALLED, no task is started" in said.stdout, said
    assert "is not installed. Failing package is: ecs-start-task" in said.stdout or "GPG check FAILED" in said.stdout, said
    assert "NOT INSTALLED" in machine.run("journalctl", "--priority=err", "--identifier=ecs-start-task")
    assert machine.read("/etc/ecs/ecs.config") == "ECS_CLUSTER=your_cluster_name\n" and machine.tasks() == []


def test_cloud_config(machine, repository):
    launch(machine, CLOUD_CONFIG)
    said = machine.run("cloud-init", "schema", "--config-file", "/var/lib/cloud/seed/nocloud/user-data")
    assert said.startswith("Valid cloud-config")
    assert_started(machine, repository)


def secrets(machine):
    """The files that contain the secret, except for the user data that the test itself writes."""
    tops = [machine.root / top for top in ("boot", "etc", "home", "root", "tmp", "var")]
    found = attempt("grep", "-rls", "--exclude-dir=seed", SECRET, *tops).stdout.split()
    return {file.removeprefix(str(machine.root)) for file in found}


def test_golden_ami(machine, repository):
    for path in KEEP_IT:
        machine.write(path, SECRET + "\n")
    machine.write("/etc/ecs/ecs.config", f"ECS_CLUSTER={SECRET}\n")
    launch(machine, f"#!/bin/sh\n: {SECRET}\n", "i-baked")
    machine.run("logger", SECRET)
    machine.run("journalctl", "--sync")
    assert set(KEEP_IT) - secrets(machine) == set() and any("/journal/" in file for file in secrets(machine))
    machine.write("/var/tmp/golden-ami.sh", machine.filled_in(GOLDEN_AMI))
    machine.run("sh", "/var/tmp/golden-ami.sh")
    assert machine.tasks() == [] and machine.state() == "inactive dead"
    # Something is logged before the image is taken, and journald has seen that its files are deleted, as it does within 5 s.
    machine.run("journalctl", "--rotate")
    machine.run("logger", SECRET)
    machine.run("journalctl", "--sync")
    machine.shut_down()
    assert secrets(machine) == set() and machine.read("/etc/machine-id") == ""
    assert [file for file in (SEED, "/etc/hostname") if (machine.root / file.lstrip("/")).exists()] == []
    launch(machine, users_part())
    assert_started(machine, repository)
