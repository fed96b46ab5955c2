"""The instance metadata service, version 2 and nothing else: every GET needs a token that this service gave out.

It serves one role's temporary credentials and the tree of metadata, in which the instance's tags are only where
InstanceMetadataTags is on. A GET without a token, a PUT without a lifetime and a request that came through a proxy are
refused as by the real service, and count as unexpected requests, as does any path to credentials that a run does not need.
"""

import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from .answers import as_json, text

METADATA = "/latest/meta-data/"
ROLES = METADATA + "iam/security-credentials/"
#: A script names the request for any other path by that path below METADATA.
NAMES = {
    "services/partition": "partition",
    "placement/region": "region",
    "autoscaling/target-lifecycle-state": "lifecycle_state",
    "spot/instance-action": "spot_action",
}
#: Paths that hold credentials, which may be requested only at ROLES.
SECRET = ("iam", "identity-credentials")
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def refusal(status):
    """The service's error pages are HTML, whatever was requested."""
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


def metadata(partition="aws", region="us-east-1", macs=("02:29:96:8f:6a:2d",)):
    """{path: value} of an instance in the first zone of the Region; the first MAC address is the primary interface's."""
    interfaces = {
        f"network/interfaces/macs/{mac}/{item}": value
        for number, mac in enumerate(macs)
        for item, value in {
            "device-number": str(number),
            "mac": mac,
            "security-group-ids": f"sg-{number}123456789abcdef0\nsg-{number}123456789abcdef1",
            "security-groups": "default\nagents",
            "subnet-id": f"subnet-{number}123456789abcdef0",
            "vpc-id": f"vpc-{number}123456789abcdef0",
        }.items()
    }
    return interfaces | {
        "ami-id": "ami-0123456789abcdef0",
        "instance-id": "i-0123456789abcdef0",
        "instance-type": "m6i.large",
        "local-hostname": "ip-10-0-1-23.ec2.internal",
        "local-ipv4": "10.0.1.23",
        "mac": macs[0],
        "placement/availability-zone": f"{region}a",
        "placement/availability-zone-id": "use1-az6",
        "placement/region": region,
        "security-groups": "default\nagents",
        "services/partition": partition,
    }


class Imds:
    """`metadata` is {path: value}; `tags` are served where `instance_metadata_tags` is on."""

    def __init__(
        self, credentials=None, role="ecsInstanceRole", partition="aws", region="us-east-1", tags=None, instance_metadata_tags=True
    ):
        self.role = role
        self.metadata = metadata(partition, region)
        self.tags, self.instance_metadata_tags = tags or {}, instance_metadata_tags
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
        if "X-Forwarded-For" in request.headers or (request.method == "GET" and not self.token_of(request)):
            return None
        names = {("PUT", "/latest/api/token"): "token", ("GET", ROLES): "role", ("GET", ROLES + self.role): "credentials"}
        return names.get((request.method, request.path)) or self.path(request)

    def path(self, request):
        """The name of a request for plain metadata, None for an unexpected one."""
        path = request.path.removeprefix(METADATA)
        elements = path.lower().split("/")
        plain = path != request.path and request.method == "GET" and not {"", ".", ".."} & set(elements)
        return NAMES.get(path, path) if plain and elements[0] not in SECRET and "%" not in path else None

    def answer(self, request):
        if request.operation:
            give = {"token": self.give_token, "role": self.give_role, "credentials": self.give_credentials}
            return give.get(request.operation, self.give_metadata)(request)
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

    def give_metadata(self, request):
        if not self.valid(request):
            return refusal(401)
        path, tree = request.path.removeprefix(METADATA), self.tree()
        if path in tree:
            return text(tree[path])
        below = {each.removeprefix(path + "/") for each in tree if each.startswith(path + "/")}
        # A folder in a folder ends with a slash.
        listing = sorted({first + slash for first, slash, _ in (each.partition("/") for each in below)})
        return text("\n".join(listing)) if listing else refusal(404)

    def tree(self):
        """{path: value} of all plain metadata that the instance has now."""
        tags = {f"tags/instance/{key}": value for key, value in self.tags.items()} if self.instance_metadata_tags else {}
        leaving = {
            "autoscaling/target-lifecycle-state": self.lifecycle_state,
            "spot/instance-action": self.spot_action and json.dumps(self.spot_action),
        }
        return self.metadata | tags | {path: value for path, value in leaving.items() if value}

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
