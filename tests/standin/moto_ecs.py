"""moto's ECS behind the stand-in's port: a cluster, an EC2 instance in it, a task definition and the instance's role.

moto's IAM is on, so signature, session token and `ecs:StartTask` are verified on every request. The requests pass through
unchanged. Only moto's refusals by IAM, XML of the query protocol, are converted to what ECS sends.
"""

import json
import logging
import re
import urllib.request
from datetime import datetime, timedelta, timezone
from http.client import HTTPConnection

import boto3
from botocore.config import Config
from moto.server import ThreadedMotoServer

from .answers import ecs_error
from .ecs import OPERATIONS, TARGET, UNKNOWN_OPERATION, is_hello
from .imds import Credentials
from .instance import Instance
from .wire import Answer

ROLE = "ecsInstanceRole"
FAMILY = "my_task_def"
REGION = "us-east-1"
REFUSALS = {
    "AccessDenied": "AccessDeniedException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
}
XML_ERROR = re.compile(r"<Code>(\w+)</Code><Message>(.*?)</Message>", re.S)
STAYS = {"progression": "time", "seconds": 86400}  # else each reading of a task would move it on towards STOPPED
HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "date", "server"}


def policy(*actions):
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
)


class MotoEcs:
    """A service for Host(ecs=...); `allowed` is what the instance's role may do."""

    def __init__(self, allowed=("ecs:StartTask",)):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.address = self.server.get_host_and_port()
        self.control("reset")
        self.control("reset-auth", "inf")
        self.control("state-manager/set-transition", json.dumps({"model_name": "ecs::task", "transition": STAYS}))
        self.keys = {"aws_access_key_id": "setup", "aws_secret_access_key": "setup"}
        self.ec2_id, self.instance = self.launch_instance()
        self.credentials = self.give_role(allowed)
        self.keys = self.make_administrator()
        self.control("reset-auth", "0")

    def control(self, action, body=""):
        url = "http://{}:{}/moto-api/{}".format(*self.address, action)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(urllib.request.Request(url, body.encode(), {"Content-Type": "application/json"})).close()

    def client(self, service):
        config = Config(proxies={}, retries={"total_max_attempts": 1})
        url = "http://{}:{}".format(*self.address)
        return boto3.client(service, REGION, endpoint_url=url, config=config, **self.keys)

    def launch_instance(self):
        launched = self.client("ec2").run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]
        ecs = self.client("ecs")
        ecs.create_cluster(clusterName="my-cluster")
        identity = json.dumps({"instanceId": launched["InstanceId"]})
        registered = ecs.register_container_instance(cluster="my-cluster", instanceIdentityDocument=identity)
        container = {"name": "main", "image": "busybox", "memory": 16, "cpu": 10}
        ecs.register_task_definition(family=FAMILY, containerDefinitions=[container])
        arn = registered["containerInstance"]["containerInstanceArn"]
        return launched["InstanceId"], Instance(account=arn.split(":")[4], id=arn.rpartition("/")[2], definitions={FAMILY: 1})

    def give_role(self, allowed):
        iam = self.client("iam")
        role = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        iam.put_role_policy(RoleName=ROLE, PolicyName="ecs-start-task", PolicyDocument=policy(*allowed))
        iam.create_instance_profile(InstanceProfileName=ROLE)
        iam.add_role_to_instance_profile(InstanceProfileName=ROLE, RoleName=ROLE)
        given = self.client("sts").assume_role(RoleArn=role, RoleSessionName=self.ec2_id)["Credentials"]
        expiration = datetime.now(timezone.utc) + timedelta(hours=6)
        return Credentials(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], expiration)

    def make_administrator(self):
        """A user who may read what exists, once IAM is on."""
        iam = self.client("iam")
        iam.create_user(UserName="administrator")
        iam.put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=policy("*"))
        key = iam.create_access_key(UserName="administrator")["AccessKey"]
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def tasks(self):
        """The tasks that exist, as ECS describes them."""
        ecs = self.client("ecs")
        arns = ecs.list_tasks(cluster=self.instance.cluster)["taskArns"]
        return ecs.describe_tasks(cluster=self.instance.cluster, tasks=arns)["tasks"] if arns else []

    def operation(self, request):
        if is_hello(request):
            return "hello"
        name = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        return name if name in OPERATIONS else None

    def answer(self, request):
        if request.operation == "hello":
            return UNKNOWN_OPERATION  # moto takes it for S3
        answer = self.pass_on(request)
        refused = XML_ERROR.search(answer.body.decode()) if answer.status >= 400 else None
        if refused:
            return ecs_error(REFUSALS.get(refused[1], refused[1]), refused[2], answer.status)
        if request.operation == "StartTask" and answer.status == 200:
            self.show_agent(json.loads(answer.body)["tasks"])
        return answer

    def pass_on(self, request):
        connection = HTTPConnection(*self.address, timeout=30)
        connection.request(request.method, request.path, request.body, dict(request.headers))
        response = connection.getresponse()
        headers = {name: value for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP}
        return Answer(response.status, response.read(), headers)

    def show_agent(self, tasks):
        for task in tasks:
            placed = self.instance.place(task["taskDefinitionArn"], task["startedBy"])
            placed.arn = task["taskArn"]

    def close(self):
        self.server.stop()
