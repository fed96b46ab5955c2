"""The ECS API (awsJson1_1) for the one instance: StartTask, and the three calls that tell about tasks.

Each request's signature and permission are verified and its members are checked against botocore's model of the service.
StartTask places a task in the instance, refuses what ECS refuses, and says MISSING in failures[] for any other instance.
"""

import json
import re
from functools import cache

import botocore.session
from botocore.validate import validate_parameters

from . import signature
from .answers import as_json, denied, ecs_error

TARGET = "AmazonEC2ContainerServiceV20141113."
OPERATIONS = ("StartTask", "ListTasks", "DescribeTasks", "DescribeTaskDefinition")
STARTED_BY = re.compile(r"[A-Za-z0-9/_-]{0,36}")


UNKNOWN_OPERATION = ecs_error("UnknownOperationException")


def is_hello(request, path="/"):
    """Asks nothing of ECS; any answer shows that the way is open."""
    return (request.method, request.path) == ("GET", path)


class Refused(Exception):
    """Carries the answer."""


@cache
def model():
    return botocore.session.Session().get_service_model("ecs")


def refuse(code, message):
    raise Refused(ecs_error(code, message))


class Ecs:
    path = "/"

    def __init__(self, instance, imds, now):
        self.instance, self.imds, self.now = instance, imds, now

    def operation(self, request):
        if is_hello(request, self.path):
            return "hello"
        name = request.headers.get("X-Amz-Target", "").removeprefix(TARGET)
        wanted = (request.method, request.path, request.headers.get("Content-Type")) == (
            "POST",
            self.path,
            "application/x-amz-json-1.1",
        )
        return name if wanted and name in OPERATIONS else None

    def answer(self, request):
        if request.operation in (None, "hello"):
            return UNKNOWN_OPERATION
        refused = signature.refusal(request, self.imds.issued, self.instance.region, self.now())
        if refused:
            return refused
        try:
            self.check_permission(request.operation)
            body = self.check(request)
            answer = as_json(getattr(self, request.operation)(body))
        except Refused as refused:
            return refused.args[0]
        answer.headers["Content-Type"] = "application/x-amz-json-1.1"
        return answer

    def check_permission(self, operation):
        if operation not in self.imds.allowed:
            raise Refused(denied(f"ecs:{operation}", "*"))

    def check(self, request):
        try:
            body = json.loads(request.body)
            validate_parameters(body, model().operation_model(request.operation).input_shape)
        except ValueError as wrong:
            refuse("SerializationException", str(wrong))
        except Exception as wrong:
            refuse("InvalidParameterException", str(wrong))
        if "cluster" in model().operation_model(request.operation).input_shape.members:
            self.check_cluster(body.get("cluster", "default"))
        return body

    def check_cluster(self, cluster):
        if cluster not in (self.instance.cluster_name, self.instance.arn_of(f"cluster/{self.instance.cluster_name}")):
            refuse("ClusterNotFoundException", "Cluster not found.")

    def StartTask(self, body):
        started_by = body.get("startedBy", "")
        if not STARTED_BY.fullmatch(started_by):
            refuse("InvalidParameterException", "startedBy contains invalid characters or is too long.")
        if not self.instance.definition(body["taskDefinition"]):
            refuse("ClientException", "TaskDefinition is inactive")
        strangers = [each for each in body["containerInstances"] if each not in (self.instance.id, self.instance.arn)]
        placed = [
            self.instance.place(body["taskDefinition"], started_by)
            for each in body["containerInstances"]
            if each not in strangers
        ]
        failures = [{"arn": self.instance.arn_of(f"container-instance/{each}"), "reason": "MISSING"} for each in strangers]
        return {"tasks": [self.describe(task, body) for task in placed], "failures": failures}

    def ListTasks(self, body):
        wanted = body.get("desiredStatus", "RUNNING")
        return {
            "taskArns": [
                task.arn
                for task in self.instance.tasks
                if body.get("family", task.family) == task.family
                and body.get("startedBy", task.started_by) == task.started_by
                and ("STOPPED" if task.status() == "STOPPED" else "RUNNING") == wanted
            ]
        }

    def DescribeTasks(self, body):
        found = {
            arn: next((task for task in self.instance.tasks if arn in (task.arn, task.arn.rpartition("/")[2])), None)
            for arn in body["tasks"]
        }
        return {
            "tasks": [self.describe(task, {}) for task in found.values() if task],
            "failures": [{"arn": arn, "reason": "MISSING"} for arn, task in found.items() if not task],
        }

    def DescribeTaskDefinition(self, body):
        found = self.instance.definition(body["taskDefinition"])
        if not found:
            refuse("ClientException", "Unable to describe task definition.")
        arn = self.instance.arn_of("task-definition/{}:{}".format(*found))
        family, revision = found
        definition = {"taskDefinitionArn": arn, "family": family, "revision": revision, "status": "ACTIVE", "networkMode": "bridge"}
        return {"taskDefinition": definition | self.instance.details.get(family, {})}

    def describe(self, task, request):
        status = task.status() or "PENDING"
        container = {"name": "main", "taskArn": task.arn, "image": "busybox", "lastStatus": status}
        stopped = {"stoppedReason": task.stopped_reason, "stopCode": "EssentialContainerExited"} if status == "STOPPED" else {}
        if stopped:
            container |= {"exitCode": 1, "reason": "CannotPullContainerError: pull access denied for busybox"}
        return {
            "taskArn": task.arn,
            "clusterArn": self.instance.arn_of(f"cluster/{self.instance.cluster_name}"),
            "containerInstanceArn": self.instance.arn,
            "containers": [container],
            "createdAt": task.created,
            "desiredStatus": "STOPPED" if stopped else "RUNNING",
            "lastStatus": status,
            "launchType": "EC2",
            "group": request.get("group", f"family:{task.family}"),
            "overrides": request.get("overrides", {}),
            "startedBy": task.started_by,
            "tags": request.get("tags", []),
            "attachments": [],
            "version": 1,
            "taskDefinitionArn": self.instance.arn_of(f"task-definition/{task.family}:{task.revision}"),
            **stopped,
        }
