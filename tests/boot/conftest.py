"""A signed repository, made by the project's own targets, and machines that have it."""

import re
import shutil

import pytest

from boot.machine import REPOSITORY, Machine
from package.tools import ARCHITECTURES, Key, build, copy_tree, rpm_of, run

#: Stands for the distribution: its real packages are Debian's, which dnf does not see.
DISTRIBUTION = """
Name: distribution
Version: 1
Release: 1
Summary: Stands for the packages of the distribution
License: Apache-2.0
BuildArch: noarch
Provides: /bin/sh systemd logrotate
%description
It is empty.
%files
"""
NEWER = "0.2.1"


@pytest.fixture(scope="session")
def key():
    key = Key()
    yield key
    key.close()


@pytest.fixture
def other_key():
    """The key of an attacker who controls the repository."""
    key = Key()
    yield key
    key.close()


@pytest.fixture(scope="session")
def distribution(tmp_path_factory):
    directory = tmp_path_factory.mktemp("distribution")
    (directory / "distribution.spec").write_text(DISTRIBUTION)
    places = [word for name in ("_topdir", "_rpmdir", "_dbpath") for word in ("--define", f"{name} {directory}/{name}")]
    run("rpmbuild", "-bb", "--quiet", *places, directory / "distribution.spec")
    return next((directory / "_rpmdir").rglob("*.rpm"))


def publish(packages, directory, key):
    """`make sign` and `make repo`."""
    unsigned = directory.with_name(directory.name + "-packages")
    unsigned.mkdir(parents=True)
    for package in packages:
        shutil.copy(package, unsigned)
    key.make("sign", RPMS=unsigned)
    key.make("repo", RPMS=unsigned, DIR=directory, BASEURL=f"http://{REPOSITORY}")
    return directory


@pytest.fixture(scope="session")
def published(tmp_path_factory, key, distribution):
    packages = [distribution, *map(rpm_of, ARCHITECTURES)]
    return publish(packages, tmp_path_factory.mktemp("published") / "repository", key)


@pytest.fixture
def repository(published, tmp_path):
    """A copy of the repository that the test may change."""
    return shutil.copytree(published, tmp_path / "repository")


@pytest.fixture
def newer(tmp_path, distribution, key):
    """A repository with a newer version, which has a new line in its settings file."""
    (tmp_path / "tree").mkdir()
    tree = copy_tree(tmp_path / "tree")
    date = re.search(r"^## \S+ \((.+)\)$", (tree / "packaging/CHANGELOG.md").read_text(), re.MULTILINE)[1]
    for name, old, new in (
        ("Cargo.toml", '\nversion = "', f'\nversion = "{NEWER}"\n# was "'),
        ("packaging/CHANGELOG.md", "# Changes\n", f"# Changes\n\n## {NEWER} ({date})\n- More.\n"),
        ("packaging/ecs-start-task.conf", "# Settings of", "# The settings of"),
    ):
        text = (tree / name).read_text()
        assert old in text
        (tree / name).write_text(text.replace(old, new, 1))
    out = build(tree, tmp_path / "newer-rpms", "x86_64")
    return publish([distribution, rpm_of("x86_64", out, NEWER)], tmp_path / "newer", key)


@pytest.fixture
def make_machine(repository):
    """make_machine(...) is Machine(...), shown when the test failed, verified and taken away."""
    machines = []

    def make(**options):
        machines.append(Machine(repository, **options))
        return machines[-1]

    yield make
    for machine in machines:
        print(machine)
        machine.close()
    for machine in machines:
        machine.host.verify()


@pytest.fixture
def machine(make_machine):
    return make_machine()
