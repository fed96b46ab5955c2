"""Size on disk: the binary, the package, and what the page's script installs, from the records of the package managers."""

import re
import shutil
import subprocess
from importlib import metadata

from standin.program import BINARY, ROOT

from .bars import MIB, Bar

#: jq with its library, by Debian's names and by Amazon Linux's.
JQ_OF_DEBIAN, JQ_OF_AMAZON = ("jq", "libjq1", "libonig5"), ("jq", "oniguruma")


def sizes(directory):
    return {
        "binary": BINARY.stat().st_size,
        "rpm": package(directory).stat().st_size,
        "jq": jq(),
        "aws_cli": sum(size(name) for name in closure("awscli")),
    }


def package(directory):
    """The binary as a package, made as `make rpm` makes it."""
    directory.mkdir()
    shutil.copy(ROOT / "target/rpm/THIRD-PARTY-LICENSES", directory)
    subprocess.run(["packaging/build-rpm", directory, "x86_64", BINARY], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    (built,) = directory.glob("*.rpm")
    return built


def jq():
    if shutil.which("dpkg-query"):
        query = ["dpkg-query", "--show", "--showformat", "${Installed-Size} ", *JQ_OF_DEBIAN]
        return 1024 * sum(map(int, output(query).split()))
    return sum(map(int, output(["rpm", "-q", "--queryformat", "%{SIZE} ", *JQ_OF_AMAZON]).split()))


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def closure(name, found=None):
    """The distribution and all that it requires."""
    found = set() if found is None else found
    if name not in found:
        found.add(name)
        for requirement in metadata.requires(name) or []:
            if "extra ==" not in requirement:
                closure(re.match(r"[\w.-]+", requirement)[0].lower(), found)
    return found


def size(distribution):
    """What its RECORD lists; compiled Python files, which are made later, have no size there."""
    return sum(file.size or 0 for file in metadata.files(distribution))


def table(result):
    mib = {name: f"{value / MIB:.2f}" for name, value in result.items()}
    yield f"MiB: binary {mib['binary']}, RPM {mib['rpm']}; the script pulls in jq ({mib['jq']}) and the AWS CLI ({mib['aws_cli']})"


def bars(result):
    yield Bar("binary, MiB", result["binary"] / MIB, 3, exact=True)
    yield Bar("RPM, MiB", result["rpm"] / MIB, 1.6, exact=True)
