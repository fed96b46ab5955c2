"""/etc/ecs/ecs.config: which of the agent's settings are used, and how they are read."""

import json

import pytest

NOTHING = "ecs.us-east-1.amazonaws.com"
FIPS, DUAL_STACK, BOTH = "ecs-fips.us-east-1.amazonaws.com", "ecs.us-east-1.api.aws", "ecs-fips.us-east-1.api.aws"
DIRECT, PROXY = None, "10.0.0.131:3128"

#: The file, our own settings, the resulting endpoint and proxy.
TABLE = {
    "nothing": (b"", {}, NOTHING, DIRECT),
    "proxy": (b"HTTP_PROXY=10.0.0.131:3128\n", {}, NOTHING, PROXY),
    "empty-counts-as-absent": (b"HTTPS_PROXY=\nHTTP_PROXY=10.0.0.131:3128\n", {}, NOTHING, PROXY),
    "blank-counts-as-absent": (b"HTTPS_PROXY=  \nhttp_proxy=10.0.0.131:3128\n", {}, NOTHING, PROXY),
    "empty-after-the-value": (b"HTTP_PROXY=10.0.0.131:3128\nHTTP_PROXY=\n", {}, NOTHING, DIRECT),
    "ours-empty-means-none": (b"HTTPS_PROXY=10.0.0.131:3128\n", {"HTTPS_PROXY": ""}, NOTHING, DIRECT),
    "ours-comes-first": (b"HTTPS_PROXY=10.0.0.9:1\n", {"HTTP_PROXY": "10.0.0.131:3128"}, NOTHING, PROXY),
    "scheme-in-capitals": (b"HTTPS_PROXY=HTTP://10.0.0.131:3128\n", {}, NOTHING, PROXY),
    "exempt": (b"HTTP_PROXY=10.0.0.131:3128\nNO_PROXY=.amazonaws.com:443\n", {}, NOTHING, DIRECT),
    "exempt-elsewhere": (b"HTTP_PROXY=10.0.0.131:3128\nNO_PROXY=.amazonaws.com:8443\n", {}, NOTHING, PROXY),
    "empty-exempts-nothing": (b"HTTP_PROXY=10.0.0.131:3128\nNO_PROXY=\n", {}, NOTHING, PROXY),
    "fips": (b"AWS_USE_FIPS_ENDPOINT=true\n", {}, FIPS, DIRECT),
    "dual-stack": (b"AWS_USE_DUALSTACK_ENDPOINT=true\n", {}, DUAL_STACK, DIRECT),
    "both": (b"AWS_USE_FIPS_ENDPOINT=true\nAWS_USE_DUALSTACK_ENDPOINT=TRUE\n", {}, BOTH, DIRECT),
    "fips-empty": (b"AWS_USE_FIPS_ENDPOINT=\n", {}, NOTHING, DIRECT),
    "ours-before-the-agents": (b"AWS_USE_FIPS_ENDPOINT=true\n", {"AWS_USE_FIPS_ENDPOINT": "false"}, NOTHING, DIRECT),
    "a-custom-endpoint-of-ours": (b"AWS_USE_FIPS_ENDPOINT=true\n", {"AWS_ENDPOINT_URL": "https://vpce.test"}, "vpce.test", DIRECT),
    "quoted": (b'HTTP_PROXY="10.0.0.131:3128"\n', {}, NOTHING, PROXY),
    "windows-line-ends": (b"AWS_USE_FIPS_ENDPOINT=true\r\nHTTP_PROXY=10.0.0.131:3128\r\n", {}, FIPS, PROXY),
    "latin-1-in-a-comment": (b"# f\xfcr den Proxy\nHTTP_PROXY=10.0.0.131:3128\nAWS_USE_FIPS_ENDPOINT=true\n", {}, FIPS, PROXY),
    "latin-1-in-a-value": (b"ECS_CLUSTER=caf\xe9\nHTTP_PROXY=10.0.0.131:3128\n", {}, NOTHING, PROXY),
    "nonsense-around-it": (b"nonsense\n=x\nexport A=b\nHTTP_PROXY=10.0.0.131:3128\n[x]\n", {}, NOTHING, PROXY),
    "comment": (b"#HTTP_PROXY=10.0.0.131:3128\n", {}, NOTHING, DIRECT),
    "ca-bundle-is-inside-the-agents-container": (b"AWS_CA_BUNDLE=/nonexistent\n", {}, NOTHING, DIRECT),
    "not-ours-to-take": (b"AWS_ENDPOINT_URL=http://x\nECS_START_TASK_DEFINITION=other\n", {}, NOTHING, DIRECT),
}


@pytest.mark.parametrize(("text", "ours", "endpoint", "proxy"), TABLE.values(), ids=TABLE)
def test_the_agents_settings(text, ours, endpoint, proxy, program, etc):
    (etc(program) / "ecs/ecs.config").write_bytes(text)
    outcome = program.run("--dry-run", "--output", "json", AWS_ENDPOINT_URL_ECS=None, **ours, verbosity=None)
    assert outcome.status == 0
    shown = json.loads(outcome.stdout)
    assert shown["endpoint"] == f"https://{endpoint}/"
    assert shown["proxy"].startswith(f"{proxy} by " if proxy else ("no proxy is set", "HTTPS_PROXY (environment) is empty", "NO_PROXY exempts"))
    assert [request["taskDefinition"] for request in shown["requests"]] == ["my_task_def"]


def test_a_value_that_the_agent_does_not_start_with_either_is_told_with_its_place(program, etc):
    (etc(program) / "ecs/ecs.config").write_text("AWS_USE_FIPS_ENDPOINT=perhaps\n")
    outcome = program.run("--dry-run", AWS_ENDPOINT_URL_ECS=None, verbosity=None)
    assert outcome.status == 78
    assert "/etc/ecs/ecs.config line 1: AWS_USE_FIPS_ENDPOINT=perhaps is invalid: expected true or false" in outcome.stderr


@pytest.mark.parametrize(("place", "value"), [("etc", "true"), ("etc", "1"), ("var-lib", "TRUE")])
def test_an_external_instance_is_told_that_it_is_not_supported(place, value, make_program, etc, tmp_path):
    program = make_program(closed=("agent", "imds"))
    directory = etc(program)
    if place == "etc":
        (directory / "ecs/ecs.config").write_text(f"ECS_EXTERNAL={value}\n")
    else:
        in_var_lib(program, tmp_path, f"ECS_EXTERNAL={value}\n")
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and outcome.seconds < 10
    assert "external instance" in outcome.stderr and "no IMDS" in outcome.stderr and "not supported" in outcome.stderr
    checked = json.loads(program.run("check", "--output", "json", verbosity=None).stdout)
    assert any("external instance" in each["Note"] and each["Status"] == "Failed" for each in checked)


def in_var_lib(program, tmp_path, text):
    """A private /var/lib, where AWS's install script puts the agent's settings."""
    directory = tmp_path / "var-lib"
    (directory / "ecs").mkdir(parents=True)
    (directory / "ecs/ecs.config").write_text(text)
    program.mounts["/var/lib"] = directory


def test_an_instance_that_is_not_external_is_none(program, etc):
    (etc(program) / "ecs/ecs.config").write_text("ECS_EXTERNAL=false\n")
    assert program.run(verbosity=None).status == 0


@pytest.mark.parametrize("command", [("--dry-run",), ("check",)])
def test_a_file_that_cannot_be_read_is_told(command, program, etc):
    (etc(program) / "ecs/ecs.config").mkdir()
    outcome = program.run(*command, verbosity=None)
    assert outcome.status == 0
    assert "cannot read /etc/ecs/ecs.config, so the proxy and the endpoint set there are ignored" in outcome.stdout + outcome.stderr
