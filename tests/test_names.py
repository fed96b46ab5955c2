"""Names: each family is looked up separately, so that a bad response for one does not break the other.

A name server in a network namespace gives every kind of bad response. With these, musl alone fails the whole lookup.
"""

import json
import re

import pytest

from standin.names import CODES, SILENT

ADDRESS = {"A": "127.0.0.1", "AAAA": "::1"}
BAD = {code.lower(): code for code in CODES} | {"nothing": [], "silent": SILENT}


@pytest.fixture
def net(make_networked):
    """net(names) is a program whose name server knows these names; ECS is there in both families."""
    return lambda names, ecs_at=("::", 0): make_networked(names=names, ecs_at=ecs_at)


def started(program, name):
    """A separate run, because all of them wait for their name servers at the same time."""
    settings = {
        "AWS_ENDPOINT_URL_ECS": f"http://{name}.test:{program.host.ecs.port}",
        "ECS_START_TASK_IF_RUNNING": "start",
        "ECS_START_TASK_STATE_DIR": program.directory / f"state-{name}",
        "ECS_START_TASK_LOG_FILE": "/dev/null",
    }
    return program.start("--no-wait", verbosity=None, **settings)


@pytest.mark.parametrize(("good", "bad"), [("A", "AAAA"), ("AAAA", "A")])
def test_one_family_is_enough_whatever_is_answered_for_the_other(good, bad, net):
    program = net({f"{name}.test": {good: [ADDRESS[good]], bad: answer} for name, answer in BAD.items()})
    runs = [started(program, name) for name in BAD]
    for outcome in [run.finish() for run in runs]:
        assert outcome.status == 0 and "resolve" not in outcome.stderr
    assert len(program.host.instance.tasks) == len(BAD)
    assert {family for _, family in program.names.asked} == set(ADDRESS)


@pytest.mark.parametrize("answer", ["NXDOMAIN", []])
def test_a_name_without_any_address_is_told(answer, net):
    program = net({"ecs.test": {"A": answer, "AAAA": answer}})
    outcome = program.run(AWS_ENDPOINT_URL_ECS="http://ecs.test", ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69 and re.search(r"http://ecs\.test/: the name does not resolve", outcome.stderr)


@pytest.mark.parametrize("address", [("127.0.0.1", 0), ("::1", 0)])
def test_an_address_at_which_nobody_listens_is_not_the_last(address, net):
    program = net({"ecs.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]}}, ecs_at=address)
    assert program.run(AWS_ENDPOINT_URL_ECS=f"http://ecs.test:{program.host.ecs.port}", verbosity=None).status == 0


def test_check_looks_names_up_in_the_same_way(net):
    program = net({"ecs.test": {"A": ["127.0.0.1"], "AAAA": "NXDOMAIN"}})
    outcome = program.run("check", "--output", "json", AWS_ENDPOINT_URL_ECS=f"http://ecs.test:{program.host.ecs.port}", verbosity=None)
    (endpoint,) = [each for each in json.loads(outcome.stdout) if each["Check"] == "ECS endpoint"]
    assert "127.0.0.1" in endpoint["Note"] and "resolve" not in endpoint["Note"]


def test_the_proxys_name_is_looked_up_in_the_same_way(net):
    """The listener acts as a proxy that refuses; what counts is that it got a request."""
    program = net({"proxy.test": {"A": ["127.0.0.1"], "AAAA": "NXDOMAIN"}})
    proxy = f"http://proxy.test:{program.host.ecs.port}"
    outcome = program.run(AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=proxy, ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69 and "CONNECT failed" in outcome.stderr
    assert program.host.asked()[-1].method == "CONNECT"
