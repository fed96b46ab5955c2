"""What is in the packages, and that they are identical bit for bit wherever they are built.

rpm lists what they require, own and run; rpmlint checks the rules of packagers. The oldest rpm that installs them is 4.11, so
they must not contain anything that it does not support.
"""

import gzip
import re
import time

import pytest

from package.tools import ARCHITECTURES, ROOT, VERSION, attempt, binary_of, build, copy_tree, rpm_of, run

pytestmark = pytest.mark.parametrize("architecture", ARCHITECTURES)

#: mode, owner, flags (c: configuration, n: not replaced, d: documentation, l: licence), path
FILES = """
drwxr-xr-x root:root - /etc/ecs
-rw-r--r-- root:root cn /etc/ecs/ecs-start-task.conf
drwxr-xr-x root:root - /etc/ecs/ecs-start-task.d
-rw-r--r-- root:root cn /etc/logrotate.d/ecs-start-task
-rwxr-xr-x root:root - /usr/bin/ecs-start-task
-rw-r--r-- root:root - /usr/lib/systemd/system/ecs-start-task.service
-rw-r--r-- root:root - /usr/lib/tmpfiles.d/ecs-start-task.conf
-rw-r--r-- root:root - /usr/share/bash-completion/completions/ecs-start-task
drwxr-xr-x root:root - /usr/share/doc/ecs-start-task
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/CHANGELOG.md
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/README.md
drwxr-xr-x root:root - /usr/share/doc/ecs-start-task/examples
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/README.md
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/alarms.yaml
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/amazon-linux-2023.conf
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/ansible.yaml
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/awsvpc.json
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/cloud-config.yaml
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/cloudwatch-agent.json
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/golden-ami.sh
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/host-values.json
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/launch-template.yaml
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/overrides.json
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/packer.pkr.hcl
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/policy-optional.json
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/policy.json
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/role.conf
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/ssm-check.yaml
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/terraform.tf
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/user-data-no-repository.sh
-rw-r--r-- root:root d /usr/share/doc/ecs-start-task/examples/user-data.txt
-rw-r--r-- root:root - /usr/share/fish/vendor_completions.d/ecs-start-task.fish
drwxr-xr-x root:root - LICENSES
-rw-r--r-- root:root l LICENSES/LICENSE
-rw-r--r-- root:root l LICENSES/THIRD-PARTY-LICENSES
-rw-r--r-- root:root d /usr/share/man/man5/ecs-start-task.conf.5.gz
-rw-r--r-- root:root d /usr/share/man/man8/ecs-start-task.8.gz
-rw-r--r-- root:root - /usr/share/zsh/site-functions/_ecs-start-task
drwxr-xr-x root:root - /var/log/ecs
"""
REQUIRES = {"/bin/sh", "systemd", "logrotate"}
RPMLIB_OF_4_11 = {"CompressedFileNames", "FileDigests", "PayloadFilesHavePrefix"}
#: Their calls of systemctl. The macros of 252 call a helper that 219 does not have.
SCRIPTLETS = {
    "POSTIN": ["preset", "daemon-reload"],
    "PREUN": ["disable", "stop"],
    "POSTUN": ["daemon-reload", "reset-failed"],
}
LARGEST = 1.6 * 1024 * 1024


def query(architecture, form):
    return run("rpm", "-qp", "--qf", form, rpm_of(architecture))


def unpacked(package, directory):
    """The files of the package, below that directory."""
    archive = directory / "package.cpio"
    archive.write_text("")
    with archive.open("wb") as out:
        out.write(gzip.decompress(payload(package)))
    run("cpio", "--extract", "--make-directories", "--quiet", "--file", archive, cwd=directory)
    return directory


def payload(package):
    whole = package.read_bytes()
    return whole[whole.index(b"\x1f\x8b\x08") :]


def test_files_owners_modes_and_flags(architecture):
    form = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}- %{FILENAMES}\n]"
    listed = query(architecture, form).replace("cn- ", "cn ").replace("d- ", "d ").replace("l- ", "l ")
    listed = listed.replace(f"/usr/share/licenses/ecs-start-task-{VERSION}", "LICENSES")
    assert sorted(listed.split("\n")) == sorted(FILES.split("\n")[1:])


def test_nothing_is_required_that_either_system_lacks(architecture):
    required = set(query(architecture, "[%{REQUIRENAME}\n]").split())
    features = {name for name in required if name.startswith("rpmlib(")}
    assert required - features == REQUIRES
    assert features == {f"rpmlib({name})" for name in RPMLIB_OF_4_11}


def test_payload_and_digests_are_those_that_rpm_4_11_reads(architecture):
    assert query(architecture, "%{PAYLOADCOMPRESSOR} %{PAYLOADFORMAT} %{FILEDIGESTALGO}") == "gzip cpio 8"


def test_it_is_for_its_architecture_with_the_version_of_cargo_toml(architecture):
    assert query(architecture, "%{NAME} %{VERSION} %{ARCH}") == f"ecs-start-task {VERSION} {architecture}"


def test_the_changelog_is_that_of_changelog_md(architecture):
    entry = (ROOT / "packaging/CHANGELOG.md").read_text().split("\n## ")[1]
    version, date = re.match(r"(\S+) \((.+)\)", entry).groups()
    text = "\n".join(re.findall("^- .*", entry, re.MULTILINE))
    newest = query(architecture, "%{CHANGELOGNAME}|%{CHANGELOGTEXT}|%{CHANGELOGTIME:day}")
    day = time.strftime("%a %b %d %Y", time.strptime(date, "%Y-%m-%d"))
    assert newest == f"maintainers - {version}-1|{text}|{day}"


def test_the_binary_is_the_one_that_was_tested(architecture, tmp_path):
    installed = unpacked(rpm_of(architecture), tmp_path) / "usr/bin/ecs-start-task"
    assert installed.read_bytes() == binary_of(architecture).read_bytes()


@pytest.mark.parametrize("scriptlet, verbs", SCRIPTLETS.items())
def test_scriptlets_say_what_the_macros_of_219_say_and_cannot_fail(architecture, scriptlet, verbs):
    text = query(architecture, f"%{{{scriptlet}}}|%{{{scriptlet}PROG}}")
    assert text.endswith("exit 0|/bin/sh"), text
    commands = re.findall(r"^ *(systemctl .*)$", re.sub("<<EOF.*^EOF$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    assert all(command.endswith(" >/dev/null 2>&1 || :") for command in commands), text
    assert [command.replace("--no-reload ", "").split()[1] for command in commands] == verbs


def test_it_is_small(architecture):
    assert rpm_of(architecture).stat().st_size <= LARGEST


def test_two_builds_are_the_same_bit_for_bit(architecture, tmp_path):
    (tmp_path / "tree").mkdir()
    again = build(copy_tree(tmp_path / "tree"), tmp_path / "out", architecture)
    assert rpm_of(architecture, again).read_bytes() == rpm_of(architecture).read_bytes()


def test_rpmlint_has_nothing_to_say(architecture, tmp_path):
    spec = tmp_path / "ecs-start-task.spec"
    spec.write_text(run("packaging/make-spec", cwd=ROOT))
    said = run("rpmlint", "--config", ROOT / "packaging/rpmlint.toml", rpm_of(architecture), spec)
    assert re.search(r"1 packages and 1 specfiles checked; 0 errors, 0 warnings", said), said


def test_rpm_takes_the_signature_and_refuses_a_changed_payload(architecture, signed, key, tmp_path):
    package = rpm_of(architecture, signed)
    database = f"--dbpath={tmp_path / 'db'}"
    assert attempt("rpm", database, "-K", package).returncode != 0, "a signature by an unknown key must not do"
    public = tmp_path / "key.asc"
    public.write_text(run("gpg", "--armor", "--export", key.fingerprint, environment=key.environment))
    run("rpm", database, "--import", public)
    assert "digests signatures OK" in run("rpm", database, "-K", package)
    changed = bytearray(package.read_bytes())
    changed[-1000] ^= 1
    package.write_bytes(changed)
    assert "NOT OK" in attempt("rpm", database, "-K", package).stdout
