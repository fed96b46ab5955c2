"""The README's commands that make the package, unchanged except for the key and the directory."""

import shutil

from package.tools import ARCHITECTURES, ROOT, attempt, rpm_of, run
from readme import readme_block


def test_the_commands_make_a_signed_repository(key, tmp_path):
    rpms = tmp_path / "rpms"
    rpms.mkdir()
    for architecture in ARCHITECTURES:
        shutil.copy(rpm_of(architecture), rpms)
    make, sign, repo = readme_block("Get the package").splitlines()
    # It has already run: its packages are the input of the others.
    assert make == "make rpm"
    for command in (sign, repo):
        command = command.replace("FINGERPRINT", key.fingerprint).replace("/srv", str(tmp_path))
        run("sh", "-e", "-c", command, cwd=ROOT, environment=key.environment | {"RPMS": str(rpms)})
    repository = tmp_path / "ecs-start-task"
    assert "baseurl=https://repository.example.com/ecs-start-task" in (repository / "ecs-start-task.repo").read_text()
    assert len(list(repository.glob("*.rpm"))) == 2
    assert attempt("gpg", "--verify", repository / "repodata/repomd.xml.asc", environment=key.environment).returncode == 0
