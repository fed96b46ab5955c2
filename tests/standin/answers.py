"""Faults: responses that a script sends in place of a service's own.

A script entry is an Answer, or a function of (request, default) that returns one. `default()` lets the service do what it
would have done, so that "the task was placed and then the response was lost" can be written just like that.
"""

import json
import time

from .wire import Answer

#: The request is read, and the connection closes without a byte of response.
HANG_UP = Answer(raw=b"")


def as_json(body, status=200, **headers):
    return Answer(status, json.dumps(body).encode(), headers)


def text(body, status=200):
    return Answer(status, body.encode(), {"Content-Type": "text/plain"})


def ecs_error(code, message="", status=400, **headers):
    """An error as awsJson1_1 services write it."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": "11111111-2222-3333-4444-555555555555"} | headers
    return Answer(status, json.dumps({"__type": code, "message": message}).encode(), headers)


THROTTLED = ecs_error("ThrottlingException", "Rate exceeded")
SERVER_ERROR = ecs_error("ServerException", "Service Unavailable. Please wait.", 500)


def denied(action, resource="task-definition/my_task_def:3"):
    who = "User: arn:aws:sts::123456789012:assumed-role/ecsInstanceRole/i-0123456789abcdef0 is not authorized to perform:"
    return ecs_error("AccessDeniedException", f"{who} {action} on resource: arn:aws:ecs:us-east-1:123456789012:{resource}")


def stall(seconds):
    """The request is read, nothing is sent for so long, then the connection closes."""
    return Answer(raw=b"", delay=seconds)


def failure(reason, detail=None):
    """200 with nothing started and the reason in failures[]."""

    def answer(request, _):
        entry = {"arn": json.loads(request.body)["containerInstances"][0], "reason": reason}
        return as_json({"tasks": [], "failures": [entry | ({"detail": detail} if detail else {})]})

    return answer


def placed_then(answer):
    """The service does its work, but the client gets another response."""

    def play(_, default):
        default()
        return answer

    return play


def cut(length):
    """The service does its work, and its response is truncated after so many bytes."""

    def play(_, default):
        whole = default()
        return Answer(whole.status, whole.body, whole.headers, cut=length)

    return play


class Bucket:
    """ECS's tokens by a clock that is passed in: `burst` of them at first, `rate` more each second."""

    def __init__(self, burst, rate, now=0.0):
        self.burst, self.rate, self.tokens, self.at = burst, rate, burst, now

    def take(self, now):
        """Whether there was one left."""
        self.tokens, self.at = min(self.burst, self.tokens + (now - self.at) * self.rate), now
        there = self.tokens >= 1
        self.tokens -= there
        return there


def token_bucket(burst, rate):
    """ECS's throttle: ThrottlingException for the calls that get no token."""
    bucket = Bucket(burst, rate, time.monotonic())
    return lambda _, default: default() if bucket.take(time.monotonic()) else THROTTLED
