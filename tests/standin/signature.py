"""Signature version 4 as a service checks it: who signed, with what, and when.

botocore computes the correct signature. Like AWS's, a refusal quotes the canonical request, session token included, so a client
that logs the service's message reveals the token.
"""

import re
import time
from calendar import timegm

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .answers import ecs_error

AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<date>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, "
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), Signature=(?P<signature>[0-9a-f]{64})"
)
MUST_SIGN = {"host", "x-amz-date", "x-amz-security-token", "x-amz-target", "content-type"}
MOST_SKEW = 300
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have "
    "been\n'{}'\n\nThe String-to-Sign should have been\n'{}'\n"
)


def parts(request):
    """The fields of the Authorization header, None when it is not one of version 4."""
    return AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))


def expected(request, found, credentials):
    """(signature, canonical request, string to sign) for the headers that the client chose to sign."""
    signer = SigV4Auth(
        Credentials(credentials.access_key, credentials.secret_key, credentials.token), found["service"], found["region"]
    )
    signed = {name: request.headers[name] for name in found["signed"].split(";")}
    rebuilt = AWSRequest(request.method, "http://" + request.headers["Host"] + request.path, signed, request.body)
    rebuilt.context["timestamp"] = request.headers["X-Amz-Date"]
    canonical = signer.canonical_request(rebuilt)
    to_sign = signer.string_to_sign(rebuilt, canonical)
    return signer.signature(to_sign, rebuilt), canonical, to_sign


def skew(request, now):
    """A refusal if the request was signed too long before or after the service's time."""
    signed = request.headers["X-Amz-Date"]
    late = now - timegm(time.strptime(signed, "%Y%m%dT%H%M%SZ"))
    if abs(late) <= MOST_SKEW:
        return None
    here = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    how = ("expired", "earlier") if late > 0 else ("not yet current", "later")
    return ecs_error("InvalidSignatureException", f"Signature {how[0]}: {signed} is now {how[1]} than {here}", 403)


def refusal(request, issued, region, now):
    """None for a request with a valid signature by one of the issued credentials, else the response of ECS."""
    found = parts(request)
    if not found or MUST_SIGN - set(found["signed"].split(";")):
        return ecs_error("IncompleteSignatureException", "Authorization header requires 'Signature' parameter", 400)
    credentials = next((each for each in issued if each.access_key == found["key"]), None)
    if not credentials or credentials.token != request.headers.get("X-Amz-Security-Token"):
        return ecs_error("UnrecognizedClientException", "The security token included in the request is invalid.", 400)
    if credentials.expiration.timestamp() <= now:
        return ecs_error("ExpiredTokenException", "The security token included in the request is expired", 400)
    if (found["region"], found["service"]) != (region, "ecs"):
        return ecs_error(
            "InvalidSignatureException", f"Credential should be scoped to a valid region, not '{found['region']}'.", 403
        )
    signature, canonical, to_sign = expected(request, found, credentials)
    if signature != found["signature"]:
        return ecs_error("InvalidSignatureException", MISMATCH.format(canonical, to_sign), 403)
    return skew(request, now)
