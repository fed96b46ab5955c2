"""The instance metadata service, version 2 and nothing else: every GET needs a token that this service gave out.

It serves one role's temporary credentials. A GET without a token, a PUT without a lifetime and a request that came
through a proxy are refused as the real service refuses them, and count as requests that nobody expected.
"""

import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from .answers import as_json, text

ROLES = "/latest/meta-data/iam/security-credentials/"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(status):
    """The service's error pages are HTML, whatever was asked for."""
    title = f"{status} - {REASONS.get(status, 'Error')}"
    page = text(f'<?xml version="1.0"?>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n', status)
    page.headers["Content-Type"] = "text/html"
    return page


@dataclass
class Credentials:
    access_key: str = field(default_factory=lambda: "ASIA" + secrets.token_hex(8).upper())
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(30))
    token: str = field(default_factory=lambda: "IQoJb3JpZ2luX2Vj" + secrets.token_urlsafe(300) + "/+==")
    expiration: datetime = field(default_factory=lambda: datetime.now(timezone.utc) + timedelta(hours=6))

    def document(self):
        return {
            "Code": "Success",
            "LastUpdated": stamp(datetime.now(timezone.utc)),
            "Type": "AWS-HMAC",
            "AccessKeyId": self.access_key,
            "SecretAccessKey": self.secret_key,
            "Token": self.token,
            "Expiration": stamp(self.expiration),
        }


class Imds:
    def __init__(self, credentials=None, role="ecsInstanceRole", partition="aws", region="us-east-1"):
        self.role, self.partition, self.region = role, partition, region
        self.allowed = {"StartTask"}  # what the role's policy allows, the least one at first
        self.issued = [credentials or Credentials()]
        self.tokens = []
        self.lifecycle_state = None  # of the Auto Scaling group; None outside of one
        self.spot_action = None  # the document of an announced interruption

    @property
    def credentials(self):
        return self.issued[-1]

    def rotate(self):
        """New credentials from now on; the old ones are expired."""
        self.credentials.expiration = datetime.now(timezone.utc) - timedelta(minutes=1)
        self.issued.append(Credentials())

    def operation(self, request):
        refused = "X-Forwarded-For" in request.headers or (request.method == "GET" and not self.token_of(request))
        names = {
            ("PUT", "/latest/api/token"): "token",
            ("GET", ROLES): "role",
            ("GET", ROLES + self.role): "credentials",
            ("GET", "/latest/meta-data/services/partition"): "partition",
            ("GET", "/latest/meta-data/placement/region"): "region",
            ("GET", "/latest/meta-data/autoscaling/target-lifecycle-state"): "lifecycle_state",
            ("GET", "/latest/meta-data/spot/instance-action"): "spot_action",
        }
        return None if refused else names.get((request.method, request.path))

    def answer(self, request):
        if request.operation:
            return getattr(self, "give_" + request.operation)(request)
        if "X-Forwarded-For" in request.headers:
            return refusal(403)
        return refusal(404 if self.valid(request) else 401)

    def give_token(self, request):
        lifetime = request.headers.get(TTL, "")
        if not (lifetime.isdigit() and 1 <= int(lifetime) <= 21600):
            return refusal(400)
        self.tokens.append("AQAEA" + secrets.token_urlsafe(36) + "==")
        answer = text(self.tokens[-1])
        answer.headers[TTL] = lifetime
        return answer

    def give_role(self, request):
        return text(self.role) if self.valid(request) else refusal(401)

    def give_partition(self, request):
        return text(self.partition) if self.valid(request) else refusal(401)

    def give_region(self, request):
        return text(self.region) if self.valid(request) else refusal(401)

    def give_lifecycle_state(self, request):
        return self.give_if_known(request, self.lifecycle_state)

    def give_spot_action(self, request):
        return self.give_if_known(request, self.spot_action and json.dumps(self.spot_action))

    def give_if_known(self, request, value):
        if not self.valid(request):
            return refusal(401)
        return text(value) if value else refusal(404)

    def give_credentials(self, request):
        if not self.valid(request):
            return refusal(401)
        answer = as_json(self.credentials.document())
        answer.headers["Content-Type"] = "text/plain"
        return answer

    def valid(self, request):
        return self.token_of(request) in self.tokens

    def token_of(self, request):
        return request.headers.get("X-aws-ec2-metadata-token")
