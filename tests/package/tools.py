"""What the tests of the package share: commands, the built packages, a copy of the tree, a signing key.

A missing tool fails the test, with a message that says what to install; nothing is skipped.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from standin.program import ROOT, VERSION

RPMS = ROOT / "target/rpm"
ARCHITECTURES = ("x86_64", "aarch64")
UNIT = ROOT / "packaging/ecs-start-task.service"
#: Everything that packaging/build-rpm reads.
SOURCES = ("Cargo.toml", "LICENSE", "Makefile", "README.md", "rpm.spec", "packaging")
DEBIAN = {
    "cpio": "cpio",
    "createrepo_c": "createrepo-c",
    "git": "git",
    "gpg": "gpg",
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "rpm": "rpm",
    "rpmbuild": "rpm",
    "rpmlint": "rpmlint",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
}


def need(*tools):
    missing = sorted({DEBIAN.get(tool, tool) for tool in tools if not shutil.which(tool)})
    assert not missing, f"not installed: {' '.join(missing)}; `apt-get install {' '.join(missing)}` brings what this test needs"


def attempt(*command, **more):
    """The finished process, whatever its status, in an environment that settings of the caller do not affect."""
    need(command[0])
    # make hands on what its own command line set; `make test` and `make demo` set SETUP.
    of_make = {"SETUP", *re.findall(r"(\w+)=", os.environ.get("MAKEFLAGS", ""))}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS")) and name not in of_make}
    environment |= {"LC_ALL": "C", "TZ": "UTC"} | more.pop("environment", {})
    return subprocess.run(
        list(map(str, command)), env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more
    )


def run(*command, **more):
    """What the command printed; it must succeed."""
    result = attempt(*command, **more)
    assert result.returncode == 0, f"{' '.join(map(str, command))} ended with {result.returncode}:\n{result.stdout}"
    return result.stdout


def rpm_of(architecture, directory=RPMS, version=VERSION):
    path = directory / f"ecs-start-task-{version}-1.{architecture}.rpm"
    assert path.is_file(), f"{path} is missing: `make rpm` makes it"
    return path


def binary_of(architecture):
    return ROOT / f"target/{architecture}-unknown-linux-musl/release/ecs-start-task"


def copy_tree(directory):
    """A copy of the package's sources as they are now."""
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, directory / name)
    for script in ("build-rpm", "make-repo", "make-spec", "third-party-licenses"):
        (directory / "packaging" / script).chmod(0o755)
    return directory


def build(tree, out, *architectures):
    """The packages of these architectures from that tree, with the binaries of this one."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(RPMS / "THIRD-PARTY-LICENSES", out / "THIRD-PARTY-LICENSES")
    for architecture in architectures:
        run("packaging/build-rpm", out, architecture, binary_of(architecture), cwd=tree)
    return out


class Key:
    """A signing key in a keyring of its own."""

    PARAMETERS = """
        Key-Type: RSA
        Key-Length: 3072
        Key-Usage: sign
        Name-Real: Publisher
        Name-Email: publisher@example.com
        Expire-Date: 0
        {protection}
        %commit
    """

    def __init__(self, passphrase=None):
        # Not pytest's directory: the path of gpg-agent's socket may have 107 characters.
        self.home = Path(tempfile.mkdtemp(prefix="gpg-"))
        self.environment = {"GNUPGHOME": str(self.home)}
        protection = f"Passphrase: {passphrase}" if passphrase else "%no-protection"
        run("gpg", "--batch", "--gen-key", input=self.PARAMETERS.format(protection=protection), environment=self.environment)
        listing = run("gpg", "--with-colons", "--list-keys", environment=self.environment)
        self.fingerprint = next(line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr:"))

    def make(self, target, **variables):
        """make TARGET with this key."""
        given = [f"{name}={value}" for name, value in variables.items()]
        return run("make", target, f"GPG_KEY={self.fingerprint}", *given, cwd=ROOT, environment=self.environment)

    def close(self):
        attempt("gpgconf", "--kill", "all", environment=self.environment)
        shutil.rmtree(self.home, ignore_errors=True)
