"""Proxies: which requests go through a proxy, and which never do. The proxy is a real one, proxy.py.

Loopback is never proxied, so what must be proxied has another name: the Region's own endpoint, a name in the private
/etc/hosts, or 0.0.0.0, which reaches this machine and is not a loopback address.
"""

import json
from contextlib import closing

import pytest

from standin import Program
from standin.program import NO_NAME
from standin.tls import Authority
from standin.way_out import WayOut

REGIONAL = "ecs.us-east-1.amazonaws.com"
NAMED = "ecs.internal.test"


class Net:
    """A host with TLS for every name used here, a proxy that connects to it, and the program."""

    def __init__(self, host, authority, way_out, directory):
        self.host, self.way_out = host, way_out
        self.program = Program(host, directory)
        self.program.environment["AWS_CA_BUNDLE"] = str(authority.bundle)
        self.anywhere = f"https://0.0.0.0:{host.ecs.port}"
        self.named = f"https://{NAMED}:{host.ecs.port}"

    def started(self, **settings):
        """Runs, wants success, returns what passed the proxy."""
        outcome = self.program.run(**settings)
        assert outcome.status == 0 and len(self.host.instance.tasks) == 1
        return self.way_out.passed()


@pytest.fixture
def net(make_host, tmp_path):
    authority = Authority(tmp_path, REGIONAL, NAMED, "0.0.0.0")
    host = make_host(tls=authority.context)
    way_out = WayOut(tmp_path, host.ecs)
    yield Net(host, authority, way_out, tmp_path)
    way_out.close()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_the_regions_endpoint_is_reached_through_the_proxy(name, net):
    assert net.started(AWS_ENDPOINT_URL_ECS=None, **{name: f"http://{net.way_out.address}"}) == [f"CONNECT {REGIONAL}:443"]


@pytest.mark.parametrize("form", ["{}", "{}/", "http://{}/"])
def test_a_proxy_may_be_written_without_scheme_and_with_a_slash(form, net):
    proxy = form.format(net.way_out.address)
    assert net.started(AWS_ENDPOINT_URL_ECS=None, HTTP_PROXY=proxy) == [f"CONNECT {REGIONAL}:443"]


def test_the_way_to_the_proxy_may_be_encrypted_too(make_host, tmp_path):
    authority = Authority(tmp_path, REGIONAL, "127.0.0.1")
    host = make_host(tls=authority.context)
    with closing(WayOut(tmp_path, host.ecs, tls=authority)) as way_out:
        net = Net(host, authority, way_out, tmp_path)
        passed = net.started(AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=f"https://{way_out.address}")
    assert passed == [f"CONNECT {REGIONAL}:443"]


def test_https_proxy_comes_before_http_proxy(net):
    passed = net.started(AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=net.way_out.address, HTTP_PROXY="127.0.0.1:1")
    assert passed == [f"CONNECT {REGIONAL}:443"]


def test_agent_and_imds_are_never_asked_through_a_proxy(net):
    local = {
        "ECS_START_TASK_AGENT_URL": f"http://0.0.0.0:{net.host.agent.port}",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://0.0.0.0:{net.host.imds.port}",
    }
    proxies = dict.fromkeys(
        ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"], f"http://{net.way_out.address}"
    )
    assert net.started(AWS_ENDPOINT_URL_ECS=None, **proxies, **local) == [f"CONNECT {REGIONAL}:443"]
    assert net.host.asked("metadata") and net.host.asked("token")


@pytest.mark.parametrize("exempt", ["0.0.0.0", "10.0.0.0/8, 0.0.0.0/8", "169.254.169.254,0.0.0.0/8,/var/run/docker.sock", "*"])
def test_no_proxy_exempts_addresses_and_networks(exempt, net):
    assert net.started(AWS_ENDPOINT_URL_ECS=net.anywhere, HTTPS_PROXY=net.way_out.address, NO_PROXY=exempt) == []


@pytest.mark.parametrize("exempt", ["", "10.0.0.0/8", "169.254.169.254,169.254.170.2,/var/run/docker.sock", "1.0.0.0"])
def test_no_proxy_that_means_others_exempts_nothing(exempt, net):
    passed = net.started(AWS_ENDPOINT_URL_ECS=net.anywhere, HTTPS_PROXY=net.way_out.address, NO_PROXY=exempt)
    assert passed == [f"CONNECT 0.0.0.0:{net.host.ecs.port}"]


@pytest.mark.parametrize("exempt", [NAMED, "internal.test", ".internal.test", "foo.test, INTERNAL.test", "a b  .internal.test"])
def test_no_proxy_exempts_names_and_their_subdomains(exempt, net, etc):
    (etc(net.program) / "hosts").write_text(f"127.0.0.1 {NAMED}\n")
    assert net.started(AWS_ENDPOINT_URL_ECS=net.named, HTTPS_PROXY=net.way_out.address, no_proxy=exempt) == []


@pytest.mark.parametrize("exempt", ["cs.internal.test", "nal.test", "ecs.internal", "test.", "internal.test.example"])
def test_no_proxy_does_not_exempt_names_that_only_look_alike(exempt, net):
    passed = net.started(AWS_ENDPOINT_URL_ECS=net.named, HTTPS_PROXY=net.way_out.address, NO_PROXY=exempt)
    assert passed == [f"CONNECT {NAMED}:{net.host.ecs.port}"]


def test_loopback_is_never_proxied(net):
    port = net.host.ecs.port
    outcome = net.program.run(AWS_ENDPOINT_URL_ECS=f"https://localhost:{port}", HTTPS_PROXY=net.way_out.address)
    assert outcome.status == 69 and "localhost" in outcome.stderr  # directly, to a certificate for other names
    assert net.way_out.passed() == []


def test_the_agents_own_proxy_is_the_last_resort(net, etc):
    config = etc(net.program) / "ecs/ecs.config"
    config.write_text(
        f"ECS_CLUSTER=my-cluster\nnonsense\nHTTP_PROXY={net.way_out.address}/\nNO_PROXY=169.254.169.254,/var/run/docker.sock\n"
    )
    assert net.started(AWS_ENDPOINT_URL_ECS=None) == [f"CONNECT {REGIONAL}:443"]


def test_the_agents_exemptions_count_with_its_proxy(net, etc):
    config = etc(net.program) / "ecs/ecs.config"
    config.write_text(f"HTTP_PROXY=http://{net.way_out.address}\nNO_PROXY=0.0.0.0\n")
    assert net.started(AWS_ENDPOINT_URL_ECS=net.anywhere) == []


def test_our_own_proxy_setting_comes_before_the_agents(net, etc):
    (etc(net.program) / "ecs/ecs.config").write_text("HTTPS_PROXY=127.0.0.1:1\n")
    assert net.started(AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=net.way_out.address) == [f"CONNECT {REGIONAL}:443"]


@pytest.mark.parametrize(
    ("proxy", "why", "fix"),
    [
        ("127.0.0.1:1", "the connection to the proxy failed: Connection refused", "check that the proxy listens there"),
        (f"operator:open-sesame@{NO_NAME}:3128", "the proxy's name does not resolve", "/etc/resolv.conf"),
    ],
)
def test_a_proxy_that_is_not_reached_is_named_and_nobody_else_is_blamed(proxy, why, fix, program):
    settings = {"AWS_ENDPOINT_URL_ECS": None, "HTTPS_PROXY": f"http://{proxy}"}
    outcome = program.run(**settings, ECS_START_TASK_TIMEOUT="2s", verbosity=None)
    checked = program.run("check", "--output", "json", **settings, verbosity=None)
    (found,) = [each for each in json.loads(checked.stdout) if each["Check"] == "proxy"]
    assert outcome.status == checked.status == 69
    for said in (outcome.log, found["Note"] + found["Fix"]):
        assert f"/ through the proxy {proxy.split('@')[-1]}: {why}" in said and fix in said
        assert "VPC endpoint" not in said and "sesame" not in said


@pytest.mark.parametrize("value", ["socks5://127.0.0.1:1080", "http://", "host:port:more", "://"])
def test_a_proxy_that_cannot_be_understood_is_a_configuration_error(value, program):
    outcome = program.run(AWS_ENDPOINT_URL_ECS=None, HTTPS_PROXY=value)
    assert outcome.status == 78 and "HTTPS_PROXY" in outcome.stderr


def test_a_proxys_password_is_used_and_never_shown(make_host, tmp_path):
    authority = Authority(tmp_path, REGIONAL)
    host = make_host(tls=authority.context)
    way_out = WayOut(tmp_path, host.ecs, "--basic-auth", "operator:open-sesame-proxy")
    program = Program(host, tmp_path)
    settings = {"AWS_ENDPOINT_URL_ECS": None, "AWS_CA_BUNDLE": authority.bundle}
    allowed = program.run(**settings, HTTPS_PROXY=f"http://operator:open-sesame-proxy@{way_out.address}")
    refused = program.run(
        **settings,
        HTTPS_PROXY=f"http://operator:wrong-sesame-proxy@{way_out.address}",
        ECS_START_TASK_TIMEOUT="1s",
        ECS_START_TASK_DEFINITION="log_agent",
    )
    way_out.close()
    assert (allowed.status, refused.status) == (0, 69)
    assert "CONNECT failed: proxy server responded 407; allow CONNECT to ECS in the proxy" in refused.said
    assert "sesame" not in allowed.said + refused.said
