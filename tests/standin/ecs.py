"""The ECS API (awsJson1_1) for one instance: StartTask, StopTask, and the calls that describe tasks and the instance.

Each request's signature and permission are verified and its members are checked against botocore's model of the service.
StartTask places a task on the instance, refuses what ECS refuses, and reports MISSING in failures[] for any other instance,
INACTIVE for one that has registered again since. What the role may do is `Imds.allowed`, action by action.
"""

import json
import re
from functools import cache

import botocore.session
from botocore.validate import validate_parameters

from . import signature
from .answers import as_json, denied, ecs_error
from .task import ENDING

TARGET = "AmazonEC2ContainerServiceV20141113."
OPERATIONS = ("StartTask", "StopTask", "ListTasks", "DescribeTasks", "DescribeTaskDefinition", "DescribeContainerInstances")
STARTED_BY = re.compile(r"[A-Za-z0-9/_-]{0,36}")

#: The status of a task that should stop, until it has stopped.
STOPS = (*ENDING, "STOPPED")
UNKNOWN_OPERATION = ecs_error("UnknownOperationException")


def is_hello(request, path="/"):
    """Requests nothing from ECS; any response shows that it can be reached."""
    return (request.method, request.path) == ("GET", path)


class Refused(Exception):
    """Carries the response."""


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
        ours = (self.instance.id, self.instance.arn)
        placed = [self.instance.place(body["taskDefinition"], started_by) for each in body["containerInstances"] if each in ours]
        failures = [self.failure(each) for each in body["containerInstances"] if each not in ours]
        return {"tasks": [self.describe(task, body) for task in placed], "failures": failures}

    def failure(self, container_instance):
        """Why nothing can be started on this one."""
        identity = container_instance.rpartition("/")[2]
        reason = "INACTIVE" if identity in self.instance.former else "MISSING"
        return {"arn": self.instance.arn_with(identity), "reason": reason}

    def StopTask(self, body):
        task = self.find(body["task"])
        if not task:
            refuse("InvalidParameterException", "The referenced task was not found.")
        task.stop(body.get("reason", "Task stopped by user"))
        return {"task": self.describe(task, {})}

    def ListTasks(self, body):
        wanted = body.get("desiredStatus", "RUNNING")
        on = body.get("containerInstance", "").rpartition("/")[2]
        return {
            "taskArns": [
                task.arn
                for task in self.instance.tasks
                if task.instance.endswith(on)
                and body.get("family", task.family) == task.family
                and body.get("startedBy", task.started_by) == task.started_by
                and ("STOPPED" if task.unwanted or task.last_status() in STOPS else "RUNNING") == wanted
            ]
        }

    def find(self, name):
        return next((task for task in self.instance.tasks if name in (task.arn, task.arn.rpartition("/")[2])), None)

    def DescribeTasks(self, body):
        found = {arn: self.find(arn) for arn in body["tasks"]}
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

    def DescribeContainerInstances(self, body):
        ours = [each for each in body["containerInstances"] if each in (self.instance.id, self.instance.arn)]
        described = {
            "containerInstanceArn": self.instance.arn,
            "ec2InstanceId": "i-0123456789abcdef0",
            "status": self.instance.status,
            "agentConnected": True,
            "runningTasksCount": sum(task.last_status() == "RUNNING" for task in self.instance.tasks),
            "pendingTasksCount": sum(task.last_status() == "PENDING" for task in self.instance.tasks),
        }
        if self.instance.capacity_provider:
            described["capacityProviderName"] = self.instance.capacity_provider
        failures = [self.failure(each) for each in body["containerInstances"] if each not in ours]
        return {"containerInstances": [described] * len(ours), "failures": failures}

    def describe(self, task, request):
        status = task.last_status()
        stops = {"stopCode": task.stop_code or why(task), "stoppedReason": task.stopped_reason} if status in STOPS else {}
        started = {"startedAt": task.created + task.ran_after()} if task.ran() else {}
        return {
            "taskArn": task.arn,
            "clusterArn": self.instance.arn_of(f"cluster/{self.instance.cluster_name}"),
            "containerInstanceArn": task.instance,
            "containers": [describe_container(task, each, status) for each in task.containers],
            "createdAt": task.created,
            "desiredStatus": "STOPPED" if stops or task.unwanted else "RUNNING",
            "lastStatus": status,
            "launchType": "EC2",
            "group": request.get("group", f"family:{task.family}"),
            "overrides": request.get("overrides", {}),
            "startedBy": task.started_by,
            "tags": request.get("tags", []),
            "attachments": [],
            "version": 1,
            "taskDefinitionArn": self.instance.arn_of(f"task-definition/{task.family}:{task.revision}"),
            **started,
            **stops,
        }


def why(task):
    return "EssentialContainerExited" if task.ran() or any(map(task.has_started, task.containers)) else "TaskFailedToStart"


def describe_container(task, container, status):
    described = {"name": container.name, "taskArn": task.arn, "image": "busybox", "lastStatus": status}
    if status not in STOPS:
        return described
    if task.has_started(container):
        return described | {"exitCode": container.exit_code}
    return described | {"reason": "CannotPullContainerError: pull access denied for busybox"}
