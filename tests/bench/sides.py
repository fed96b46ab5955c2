"""The two sides: the program, and the commands of AWS's page (curl, jq, awk, the AWS CLI from PyPI) on the same host.

Both do the same work: wait for the agent, find out who the instance is, get the role's credentials, send StartTask;
neither waits for the task to run. What the page does before that, `yum install -y jq aws-cli`, is not counted.
"""

import os
import shutil
import sys
from pathlib import Path

import awscli

from standin import Host, Program
from standin.program import BINARY
from standin.tls import Authority

PAGE = """
until curl -s $AGENT/v1/metadata; do sleep 1; done
instance_arn=$(curl -s $AGENT/v1/metadata | jq -r '. | .ContainerInstanceArn' | awk -F/ '{print $NF}' )
cluster=$(curl -s $AGENT/v1/metadata | jq -r '. | .Cluster' | awk -F/ '{print $NF}' )
region=$(curl -s $AGENT/v1/metadata | jq -r '. | .ContainerInstanceArn' | awk -F: '{print $4}')
task_definition=my_task_def
aws ecs start-task --cluster $cluster --task-definition $task_definition --container-instances $instance_arn \
  --started-by $instance_arn --region $region
"""
BUNDLES = (
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    # If the machine has no bundle: that of the AWS CLI, which has the same size.
    Path(awscli.__file__).parent / "botocore/cacert.pem",
)


def system_bundle():
    return next(path for path in map(Path, BUNDLES) if path.is_file())


class Scene:
    """A host, and both sides configured for it; over TLS the trusted roots are the system's and the test authority."""

    def __init__(self, directory, tls=True, **options):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        authority = Authority(self.directory) if tls else None
        self.host = Host(tls=authority and authority.context, **options)
        self.program = Program(self.host, self.directory)
        if tls:
            bundle = self.directory / "bundle.pem"
            bundle.write_bytes(system_bundle().read_bytes() + authority.bundle.read_bytes())
            self.program.environment["AWS_CA_BUNDLE"] = str(bundle)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        page = self.program.environment | {"PATH": path, "AGENT": self.host.agent.url}
        self.sides = {"program": ([BINARY, "--no-wait"], self.program.environment), "page": (["bash", "-c", PAGE], page)}

    def fresh(self):
        """The state after a boot: no task, no record, no request yet."""
        self.host.instance.tasks.clear()
        self.host.requests.clear()
        shutil.rmtree(self.directory / "state", ignore_errors=True)

    def check(self, side, status):
        """Whether that side has done its job."""
        assert status == 0 and len(self.host.instance.tasks) == 1, f"{side} did not do its job:\n{self.host}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.host.close()
