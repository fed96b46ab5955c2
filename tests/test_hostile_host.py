"""Malicious local users, who attack root's files, the agent's port, the log, and the run itself.

The program runs as root, and another user has prepared links, directories, sockets, pipes and names.
"""

import json
import os
import re
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from standin.answers import as_json
from standin.program import in_mounts
from standin.tls import Authority
from test_agent import metadata

#: A local user, who owns nothing that root does.
OTHER = 12345
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file or a socket to another user")
VICTIM = "# root's own\n"


def give(path):
    """The path now belongs to the other user."""
    os.chown(path, OTHER, OTHER, follow_symlinks=False)
    return path


@pytest.fixture
def victim(tmp_path):
    """A file of root that no other user may change."""
    path = tmp_path / "bashrc"
    path.write_text(VICTIM)
    yield path
    assert path.read_text() == VICTIM and path.stat().st_mode & 0o777 == 0o644


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    return give(path)


def his_link(tmp_path, home, victim):
    (home / "log").symlink_to(victim)
    return home / "log"


def his_directory(tmp_path, home, victim):
    return home / "log"


def his_directory_above(tmp_path, home, victim):
    (home / "mine").mkdir()
    return home / "mine/log"


def his_link_above(tmp_path, home, victim):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    give(tmp_path / "link")
    return tmp_path / "link/log"


def his_file(tmp_path, home, victim):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    give((tmp_path / "shared/log").write_text("") or tmp_path / "shared/log")
    return tmp_path / "shared/log"


def his_second_name(tmp_path, home, victim):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "shared/log").hardlink_to(victim)
    return tmp_path / "shared/log"


def everybodys_directory(tmp_path, home, victim):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    return tmp_path / "shared/log"


def a_pipe(tmp_path, home, victim):
    os.mkfifo(tmp_path / "log")
    return tmp_path / "log"


#: Where the log should be, and what is said about it.
UNSAFE = {
    "link": (his_link, rf"home: it belongs to user {OTHER}"),
    "directory": (his_directory, rf"home: it belongs to user {OTHER}"),
    "directory-above": (his_directory_above, rf"home: it belongs to user {OTHER}"),
    "link-above": (his_link_above, rf"link: it belongs to user {OTHER}"),
    "file": (his_file, rf"it belongs to user {OTHER}"),
    "second-name": (his_second_name, r"it has 2 names"),
    "everybody's-directory": (everybodys_directory, r"shared: others can write to it \(mode 0777\)"),
    "pipe": (a_pipe, r"it is not a regular file"),
}


@ONLY_ROOT
@pytest.mark.parametrize(("place", "said"), UNSAFE.values(), ids=UNSAFE)
def test_a_log_is_written_nowhere_that_another_user_could_have_led_it(place, said, program, host, tmp_path, home, victim):
    log = place(tmp_path, home, victim)
    before = {path: path.lstat().st_size for path in tmp_path.rglob("*")}
    outcome = program.run("--log-file", log, verbosity=None)
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    [warning] = [line for line in outcome.stderr.splitlines() if "WARN" in line]
    assert re.search(rf"cannot write the log file {log}: .*{said}", warning), warning
    after = {path: path.lstat().st_size for path in tmp_path.rglob("*") if program.directory / "state" not in (path, path.parent)}
    assert after == before
    [found] = [each for each in json.loads(program.run("check", "--output", "json", "--log-file", log, verbosity=None).stdout) if each["Check"] == "log"]
    assert found["Status"] == "Warning" and re.search(said, found["Note"])


def the_group_s_directory(tmp_path):
    (tmp_path / "var").mkdir()
    os.chown(tmp_path / "var", -1, OTHER if os.geteuid() == 0 else -1)
    (tmp_path / "var").chmod(0o775)
    return tmp_path / "var/log"


def a_link_of_root_s_above(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "var").symlink_to("data")
    return tmp_path / "var/log"


def a_sticky_directory(tmp_path):
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    return tmp_path / "tmp/log"


@pytest.mark.parametrize("place", [the_group_s_directory, a_link_of_root_s_above, a_sticky_directory])
def test_what_is_usual_on_a_host_keeps_its_log(place, program, tmp_path):
    log = place(tmp_path)
    for _ in range(2):
        assert "WARN" not in program.run("--log-file", log, verbosity=None).stderr
    assert log.read_text().count("begins") == 2


@pytest.mark.parametrize("log", ["/dev/null", "/dev/stderr", "/proc/self/fd/2"])
def test_what_is_no_file_but_harmless_is_a_log_too(log, program):
    outcome = program.run("--log-file", log, verbosity=None)
    assert outcome.status == 0 and "WARN" not in outcome.stderr
    assert outcome.stderr.count("begins") == (1 if log == "/dev/null" else 2)


@pytest.mark.parametrize("log", ["/dev/full", "/dev/stdout", "/dev/tty", "/proc/self/fd/0", "link"])
def test_nobody_is_told_to_remove_what_is_no_file_of_the_program_s(log, program, tmp_path):
    (tmp_path / "link").symlink_to("/dev/full")
    for said in (program.run("--log-file", log, verbosity=None).stderr, program.run("check", "--log-file", log, verbosity=None).stdout):
        assert "set ECS_START_TASK_LOG_FILE to a regular file of its own" in said and "rm " not in said


@ONLY_ROOT
@pytest.mark.parametrize("spoil", [give, lambda path: path.chmod(0o770), lambda path: path.chmod(0o1777)], ids=["owner", "group", "everybody"])
def test_a_state_directory_in_which_others_write_is_refused_with_what_fixes_it(spoil, program, host, tmp_path):
    state = tmp_path / "state"
    state.mkdir(0o700)
    spoil(state)
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and not host.asked("StartTask") and not list(state.iterdir())
    checked = program.run("check", "--output", "json", verbosity=None)
    [found] = [each for each in json.loads(checked.stdout) if each["Check"] == "state directory"]
    assert found["Status"] == "Failed" and found["Fix"] in outcome.stderr and checked.status == 78
    [fix] = re.findall(r"`(chown root: .*?; chmod go-w .*?)`", found["Fix"])
    subprocess.run(["sh", "-ec", fix], check=True)
    assert program.run(verbosity=None).status == 0


@ONLY_ROOT
def test_in_a_user_namespace_a_state_directory_of_another_user_is_refused(program, host, tmp_path):
    """Root of the host may be one of those whom it does not map, and its directories are walked through."""
    (tmp_path / "state").mkdir(0o700)
    give(tmp_path / "state")
    program.wrapper = ["unshare", "--map-root-user"]
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and "it belongs to user 65534" in outcome.stderr and not host.asked("StartTask")


@ONLY_ROOT
def test_a_state_directory_below_another_user_s_is_refused(program, host, home):
    outcome = program.run(ECS_START_TASK_STATE_DIR=home / "state", verbosity=None)
    assert outcome.status == 78 and f"home: it belongs to user {OTHER}" in outcome.stderr
    assert not list(home.iterdir()) and not host.asked("StartTask")


@pytest.mark.parametrize("name", ["lock", "my_task_def.json"])
def test_a_link_in_the_state_directory_is_not_followed(name, program, host, tmp_path, victim):
    (tmp_path / "state").mkdir(0o700)
    (tmp_path / "state" / name).symlink_to(victim)
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and not host.asked("StartTask")
    assert re.search(rf"state/{name}\b.*symbolic link", outcome.stderr)


def test_what_has_the_name_of_a_temporary_file_is_not_written_to(program, host, tmp_path, victim):
    assert program.run().status == 0
    host.instance.tasks.clear()
    [record] = (tmp_path / "state").glob("my_task_def.*.json")
    record.unlink()
    program.wrapper = ["sh", "-c", f'ln -s {victim} "{record}.$$.0.new" && exec "$@"', "sh"]
    assert program.run().status == 0
    assert record.is_file() and any(path.is_symlink() for path in record.parent.iterdir())


@ONLY_ROOT
def test_check_warns_of_what_others_can_write_to(program, etc, home):
    directory = etc(program) / "ecs"
    drop_ins = directory / "ecs-start-task.d"
    drop_ins.mkdir()
    (directory / "ecs-start-task.conf").write_text("ECS_START_TASK_TIMEOUT=40s\n")
    for name in ("his", "root_s"):
        (drop_ins / f"{name}.json").write_text(json.dumps({"taskDefinition": name}))
    settings = {"ECS_START_TASK_DEFINITION": None, "ECS_START_TASK_TIMEOUT": None}

    def found():
        return json.loads(program.run("check", "--output", "json", verbosity=None, **settings).stdout)[0]

    assert found()["Status"] == "Success"
    (directory / "ecs-start-task.conf").chmod(0o666)
    drop_ins.chmod(0o777)
    give(drop_ins / "his.json")
    note = found()
    assert note["Status"] == "Warning"
    for path, said in (("ecs-start-task.conf", "mode 0666"), ("ecs-start-task.d", "mode 0777"), ("ecs-start-task.d/his.json", f"user {OTHER}")):
        assert re.search(rf"^/etc/ecs/{path}: .*{said}", note["Note"], re.MULTILINE) and f"/etc/ecs/{path}" in note["Fix"]
    assert "root_s.json: " not in note["Note"]


#: Root's own file, as it is named to the program: he can put another in its place.
LED = {
    "directory": lambda home: home / "mine/x.json",
    "link": lambda home: home.parent / "link.json",
    "directory-by-a-link": lambda home: home.parent / "link/x.json",
    "link-to-his-link": lambda home: home.parent / "links/links.json",
}


@ONLY_ROOT
@pytest.mark.parametrize("place", LED.values(), ids=LED)
@pytest.mark.parametrize("what", ["document", "settings", "bundle"])
def test_check_warns_of_whom_the_way_to_a_file_belongs_to(what, place, program, home):
    file = home / "mine/x.json"
    file.parent.mkdir()
    bundle = Authority(home.parent).bundle.read_text()
    file.write_text({"document": '{"taskDefinition": "my_task_def"}', "settings": "", "bundle": bundle}[what])
    (home.parent / "link.json").symlink_to(file)
    (home.parent / "link").symlink_to(file.parent)
    (home.parent / "links").mkdir()
    (home.parent / "links/links.json").symlink_to(home / "mine/his.json")
    (home / "mine/his.json").symlink_to(file)
    arguments = {"document": ("--cli-input-json", place(home)), "settings": ("--config", place(home)), "bundle": ("--ca-bundle", place(home))}[what]
    found = json.loads(program.run("check", "--output", "json", *arguments, verbosity=None).stdout)[0]
    assert found["Status"] == "Warning" and re.search(rf"^{place(home)}: .*home: it belongs to user {OTHER}", found["Note"], re.MULTILINE), found
    os.chown(home, 0, 0)
    assert json.loads(program.run("check", "--output", "json", *arguments, verbosity=None).stdout)[0]["Status"] == "Success"


@ONLY_ROOT
def test_check_warns_of_the_agent_s_settings_in_which_others_write(program, etc):
    config = etc(program) / "ecs/ecs.config"
    config.write_text("HTTP_PROXY=127.0.0.1:1\n")
    give(config)
    found = json.loads(program.run("check", "--output", "json", verbosity=None).stdout)[0]
    assert found["Status"] == "Warning" and f"/etc/ecs/ecs.config: it belongs to user {OTHER}" in found["Note"]


#: He swaps names in the time between two checks of them: the first argument is the place, the second the aim. In a directory of his
#: group he can move root's files too.
SWAPPER = """
import ctypes, os, sys
os.chdir(sys.argv[1])
os.mkdir("log"), os.symlink(sys.argv[2], "other"), os.mkdir("a"), os.symlink(os.path.dirname(sys.argv[2]), "b")
open("his", "w").close(), os.chmod("his", 0o666)
rename = ctypes.CDLL(None).renameat2
print("swapping", flush=True)
while True:
    rename(-100, b"log", -100, b"other", 2), rename(-100, b"a", -100, b"b", 2), rename(-100, b"his", -100, b"root_s", 2)
"""
RUNS = 20


@ONLY_ROOT
@pytest.mark.parametrize("log", ["log", "a/bashrc", "root_s"])
def test_who_swaps_names_while_they_are_opened_leads_nothing(log, program, tmp_path, victim):
    shared = tmp_path / "shared"
    shared.mkdir()
    os.chown(shared, 0, OTHER)
    shared.chmod(0o775)
    (shared / "root_s").write_text("")
    for directory in (tmp_path, *tmp_path.parents[:-2]):
        directory.chmod(directory.stat().st_mode | 0o011)
    # What he has to be lucky for otherwise: time to swap after the first check.
    delay = ["-e", "trace=openat", "-e", "inject=openat:delay_enter=10000"]
    program.wrapper = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", shared, *delay]
    him = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", sys.executable, "-c", SWAPPER, shared, victim]
    with subprocess.Popen(him, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout.readline() == b"swapping\n"
        said = [program.run("--log-file", shared / log, "--dry-run", verbosity=None).stderr for _ in range(RUNS)]
        swapper.kill()
    assert log == "root_s" or all("cannot write the log file" in text for text in said)
    [his] = [path for path in shared.iterdir() if path.is_file() and path.stat().st_uid == OTHER]
    assert his.read_text() == ""


# ---- The agent's port


@contextmanager
def squatted(host):
    """The agent's socket belongs to another user in the meantime."""
    os.fchown(host.agent.fileno(), OTHER, -1)
    yield
    os.fchown(host.agent.fileno(), 0, -1)


@ONLY_ROOT
def test_what_another_user_s_socket_says_is_not_the_agent_s(program, host):
    host.instance.place("my_task_def", life=((0, "RUNNING"),))
    with squatted(host):
        outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
        checked = program.run("check", "--output", "json", verbosity=None)
    assert outcome.status == 69 and f"user {OTHER} listens there" in outcome.stderr
    [found] = [each for each in json.loads(checked.stdout) if each["Check"] == "agent"]
    assert found["Status"] == "Failed" and f"user {OTHER} listens there" in found["Note"] and "ss -ltnp" in found["Fix"]
    assert not host.asked("metadata", "tasks", "StartTask"), "nothing was asked of him"


@ONLY_ROOT
def test_the_agent_is_waited_for_behind_another_user_s_socket(program, host):
    os.fchown(host.agent.fileno(), OTHER, -1)
    running = program.start()
    while "listens there" not in (program.log_file.read_text() if program.log_file.exists() else ""):
        assert running.process.poll() is None
    os.fchown(host.agent.fileno(), 0, -1)
    assert running.finish().status == 0 and len(host.instance.tasks) == 1


@ONLY_ROOT
@pytest.mark.parametrize("operation", ["metadata", "tasks"])
def test_a_socket_that_changes_hands_before_the_answer_is_not_the_agent_s(operation, program, host):
    def hand_over(_, default):
        os.fchown(host.agent.fileno(), OTHER, -1)
        return default()

    host.script(operation, hand_over)
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    os.fchown(host.agent.fileno(), 0, -1)
    assert outcome.status == 69 and not host.asked("StartTask")
    assert f"user {OTHER} listens there" in outcome.stderr


#: An agent with given responses; the first argument is its port.
SQUATTER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = sys.argv[2].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@ONLY_ROOT
def test_root_s_files_are_safe_from_a_squatter_with_a_link(make_program, home, victim):
    """The whole attack: a process on the agent's port, text for the log, a link in place of the log."""
    program = make_program(closed=("agent",))
    port = program.host.agent.port
    program.host.agent.server_close()
    him = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups", sys.executable, "-c", SQUATTER, str(port), "\ntouch /tmp/owned\n"]
    (home / "log").symlink_to(victim)
    with subprocess.Popen(him, stdout=subprocess.PIPE, cwd="/") as squatter:
        assert squatter.stdout.readline() == b"listening\n"
        outcome = program.run("--log-file", home / "log", ECS_START_TASK_TIMEOUT="1s")
        squatter.kill()
    assert outcome.status == 69 and f"user {OTHER} listens there" in outcome.stderr and "owned" not in outcome.said


@ONLY_ROOT
def test_in_a_user_namespace_he_is_another_user(program, host):
    program.wrapper = ["unshare", "--map-root-user"]
    with squatted(host):
        outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69 and "another user listens there" in outcome.stderr


@pytest.fixture
def unfound(host):
    """The kernel does not find the agent's socket, as where netlink is denied: it belongs to an interface, which is not asked for."""
    host.agent.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


@ONLY_ROOT
def test_the_owner_is_known_without_proc(program, host):
    program.wrapper = in_mounts("mount -t tmpfs none /proc")
    with squatted(host):
        outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69 and f"user {OTHER} listens there" in outcome.stderr
    assert program.run().status == 0


@ONLY_ROOT
def test_the_owner_is_known_from_the_tables_alone(program, host, unfound):
    with squatted(host):
        outcome = program.run(ECS_START_TASK_TIMEOUT="1s", verbosity=None)
    assert outcome.status == 69 and f"user {OTHER} listens there" in outcome.stderr
    assert program.run().status == 0


def test_where_the_kernel_tells_no_owner_the_answer_counts(program, host, unfound):
    program.wrapper = in_mounts("mount -t tmpfs none /proc")
    outcome = program.run(verbosity="-v")
    assert outcome.status == 0 and len(host.instance.tasks) == 1
    assert re.search(r"DEBUG.*cannot determine who listens at 127.0.0.1:\d+", outcome.stderr)


@ONLY_ROOT
@pytest.mark.parametrize("host_name", ["0.0.0.0", "0", "127.1", "[::ffff:127.0.0.1]", "localhost"])
def test_no_other_name_of_this_host_hides_whose_socket_it_is(host_name, program, host):
    url = f"http://{host_name}:{host.agent.port}"
    with squatted(host):
        outcome = program.run(ECS_START_TASK_TIMEOUT="1s", ECS_START_TASK_AGENT_URL=url, verbosity=None)
    assert outcome.status == 69 and f"user {OTHER} listens there" in outcome.stderr and not host.asked("metadata")
    assert program.run(ECS_START_TASK_AGENT_URL=url).status == 0


@ONLY_ROOT
def test_an_agent_that_listens_at_every_address_is_the_agent_if_it_is_root_s(make_program):
    """As the real one does."""
    program = make_program(agent_at=("0.0.0.0", 0))
    program.environment["ECS_START_TASK_AGENT_URL"] = f"http://127.0.0.1:{program.host.agent.port}"
    with squatted(program.host):
        assert f"user {OTHER} listens there" in program.run(ECS_START_TASK_TIMEOUT="1s").stderr
    assert program.run().status == 0


@ONLY_ROOT
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_who_listens_at_the_address_of_the_other_family_is_not_asked(name, make_program):
    """He cannot have the agent's address, so he takes ::1 of the same port."""
    program = make_program()
    port = program.host.agent.port
    with socket.socket(socket.AF_INET6) as squatter:
        squatter.bind(("::1", port))
        squatter.listen()
        os.fchown(squatter.fileno(), OTHER, -1)
        squatter.settimeout(0)
        assert program.run(ECS_START_TASK_AGENT_URL=f"http://{name}:{port}", ECS_START_TASK_TIMEOUT="1s").status in (0, 69)
        with pytest.raises(BlockingIOError):
            squatter.accept()


ARN = "arn:aws:ecs:us-east-1:123456789012:container-instance/my-cluster/0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "arn",
    [
        ARN.replace("arn:aws:", "arn:aws-x:"),
        ARN.replace("arn:aws:", "arn:x:"),
        ARN.replace("us-east-1", "evil"),
        ARN.replace("us-east-1", "us-east-1-evil"),
        ARN[:-1],
        ARN.replace("0123456789abcdef0123456789abcdef", "latest"),
    ],
)
def test_nothing_that_the_agent_says_is_a_configuration_error(arn, program, host):
    host.always("metadata", metadata(ContainerInstanceArn=arn))
    outcome = program.run(ECS_START_TASK_TIMEOUT="1s", AWS_ENDPOINT_URL_ECS=None, verbosity=None)
    assert outcome.status == 69 and (arn in outcome.stderr or "partition" in outcome.stderr)
    assert not host.asked("StartTask")


# ---- Values of documents, and passwords

SECRET = "correct-horse-battery-staple"

#: An invalid document, and what the error must contain: place, expected and found type.
SECRETS = {
    "environment-as-text": ({"overrides": {"containerOverrides": [{"environment": [f"DB_PASSWORD={SECRET}"]}]}}, "overrides.containerOverrides.0.environment.0", "an object", "a string"),
    "environment-as-object": ({"overrides": {"containerOverrides": [{"environment": {"DB_PASSWORD": SECRET}}]}}, "overrides.containerOverrides.0.environment", "a list", "an object"),
    "command-as-text": ({"overrides": {"containerOverrides": [{"command": f"login {SECRET}"}]}}, "overrides.containerOverrides.0.command", "a list", "a string"),
    "number-for-text": ({"overrides": {"containerOverrides": [{"environment": [{"name": "PIN", "value": 31337002}]}]}}, "overrides.containerOverrides.0.environment.0.value", "a string", "a number"),
    "fraction-for-text": ({"overrides": {"cpu": 31337002.5}}, "overrides.cpu", "a string", "a number"),
    "text-for-number": ({"overrides": {"containerOverrides": [{"cpu": SECRET}]}}, "overrides.containerOverrides.0.cpu", "a whole number", "a string"),
    "null-for-text": ({"group": None}, "group", "a string", "null"),
    "flag-for-list": ({"tags": True}, "tags", "a list", "true or false"),
    "encoded-twice": ({"overrides": json.dumps({"containerOverrides": [{"command": [SECRET]}]})}, "overrides", "an object", "a string"),
    "definition": ({"taskDefinition": f"not a name: {SECRET}"}, "taskDefinition", "family", ""),
    "started-by": ({"startedBy": f"{SECRET}, and more"}, "startedBy", "at most 36", ""),
    "cluster": ({"cluster": SECRET}, "cluster", "my-cluster", ""),
}


@pytest.mark.parametrize(("members", "place", "expected", "found"), SECRETS.values(), ids=SECRETS)
def test_no_value_of_a_document_is_shown(members, place, expected, found, program, host, tmp_path):
    document = tmp_path / "document.json"
    document.write_text(json.dumps({"taskDefinition": "my_task_def"} | members))
    for arguments in ((), ("check",), ("--output", "json"), ("check", "--output", "json"), ("--dry-run",)):
        outcome = program.run(*arguments, "--cli-input-json", document)
        said = outcome.stdout + outcome.said
        assert outcome.status == 78 and not host.asked("StartTask")
        assert all(each in said for each in (str(document), place, expected, found)), said
        assert not re.search("correct|battery|31337|PASSWORD=", said)


@pytest.mark.parametrize("value", ["me:open-sesame@host:1", "me:open-sesame@host", "open-sesame@host", "//me:open-sesame@host", "socks5://me:open-sesame@host", "me:open-sesame@ho st"])
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "ECS_START_TASK_AGENT_URL", "HTTPS_PROXY", "HTTP_PROXY"])
def test_no_password_of_an_address_is_shown(name, value, program):
    settings = {"AWS_ENDPOINT_URL_ECS": "https://ecs.invalid:1", "ECS_START_TASK_TIMEOUT": "1s"} | {name: value}
    for arguments in (("--dry-run",), ("check",)):
        outcome = program.run(*arguments, **settings)
        assert "sesame" not in outcome.stdout + outcome.said


# ---- Helpers


def test_systemctl_is_not_looked_up_and_gets_nothing_of_the_environment(program, tmp_path):
    trap, seen = tmp_path / "bin", tmp_path / "seen"
    trap.mkdir()
    (trap / "systemctl").write_text(f"#!/bin/sh\ntouch {trap}/sprung\n")
    (trap / "systemctl").chmod(0o755)
    program.play_systemctl(f"tr '\\0' '\\n' </proc/self/environ >{seen}")
    program.run("check", PATH=f"{trap}:{os.defpath}", HTTPS_PROXY="http://me:open-sesame@127.0.0.1:1")
    assert not (trap / "sprung").exists()
    assert seen.read_text().strip() == ""


# ---- Pipes

CONF, DROP_IN, ECS_CONFIG = "ecs/ecs-start-task.conf", "ecs/ecs-start-task.d/x.json", "ecs/ecs.config"


@pytest.mark.parametrize(("pipe", "status"), [(DROP_IN, 78), (CONF, 78), (ECS_CONFIG, 0)])
def test_a_pipe_in_place_of_a_file_holds_nothing_up(pipe, status, program, host, etc):
    directory = etc(program)
    (directory / "ecs/ecs-start-task.d").mkdir()
    (directory / "ecs/ecs-start-task.d/a.json").write_text('{"taskDefinition": "my_task_def"}')
    os.mkfifo(directory / pipe)
    outcome = program.run(ECS_START_TASK_DEFINITION=None, verbosity=None)
    assert outcome.status == status and outcome.seconds < 10
    assert f"/etc/{pipe}" in outcome.stderr and "not a regular file" in outcome.stderr
    assert len(host.instance.tasks) == (pipe != CONF), "a document fails alone"


@pytest.mark.parametrize("option", ["--ca-bundle", "--cli-input-json"])
def test_a_pipe_that_a_person_names_and_nobody_writes_to_is_given_up(option, program, host, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    outcome = program.run(option, tmp_path / "pipe", AWS_ENDPOINT_URL_ECS="https://127.0.0.1:1", verbosity=None)
    assert outcome.status == 78 and f"{tmp_path}/pipe: no data for 10 s" in outcome.stderr
    assert 10 <= outcome.seconds < 30 and not host.asked("StartTask")


def test_a_pipe_in_place_of_a_record_holds_nothing_up(program, host, tmp_path):
    (tmp_path / "state").mkdir(0o700)
    os.mkfifo(tmp_path / "state/my_task_def.json")
    outcome = program.run(verbosity=None)
    assert outcome.status == 78 and outcome.seconds < 10 and not host.asked("StartTask")
    assert re.search(r"my_task_def.json.*not a regular file", outcome.stderr)


@pytest.mark.parametrize("path", ["/dev/stdin", "file:///dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_a_document_may_come_through_a_pipe(path, program, host):
    program.wrapper = ["sh", "-c", 'echo "{\\"taskDefinition\\": \\"log_agent\\"}" | "$@"', "sh"]
    outcome = program.run("--cli-input-json", path, ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 0 and [task.family for task in host.instance.tasks] == ["log_agent"]


def test_settings_and_a_document_may_come_from_other_programs(program, host):
    """As with envsubst in bash."""
    script = '"$@" --config <(echo ECS_START_TASK_STARTED_BY=me) --cli-input-json <(echo \'{"taskDefinition": "log_agent"}\')'
    program.wrapper = ["bash", "-c", script, "bash"]
    outcome = program.run(ECS_START_TASK_DEFINITION=None)
    assert outcome.status == 0
    [sent] = [json.loads(request.body) for request in host.asked("StartTask")]
    assert (sent["taskDefinition"], sent["startedBy"]) == ("log_agent", "me")


# ---- Repetition


def test_a_silent_agent_is_told_once_however_often_it_is_asked(program, host):
    host.always("metadata", as_json({}, 500))
    outcome = program.run(ECS_START_TASK_TIMEOUT="2s", verbosity="-v")
    assert len(host.asked("metadata")) > 10
    lines = [line.partition(" ")[2] for line in outcome.log.splitlines()]
    assert max(map(lines.count, lines)) <= 2, outcome.log
