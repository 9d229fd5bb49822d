"""Run in a copy of the repository that has the query of CONTRIBUTING.md."""

import sys

from quorate.api.documents import asyncapi_document
from quorate.api.openapi import openapi_document
from quorate.api.registry import NATS_OPERATIONS

path = openapi_document()["paths"]["/v1/agent/coordination/lease/{leaseId}/contenders"]
operation = path["get"]
assert operation["operationId"] == "getContenders"
assert operation["responses"]["200"]["content"]["application/json"]["example"]
assert "404" in operation["responses"]
assert "getContenders" in {endpoint.name for endpoint in NATS_OPERATIONS}
assert "getContenders" in str(asyncapi_document()["operations"])
sys.stdout.write("passed\n")
