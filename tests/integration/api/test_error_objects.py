"""Problems of operations with ``error_object`` contain the member ``error``; others do not."""

import json
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from quorate.api.errors import add_error_handlers
from quorate.api.fast_lane import FastLane, FastOperation
from quorate.api.http_admission import HttpAdmission
from quorate.api.openapi import document
from quorate.api.routes import route_for
from quorate.application.operations import HANDLERS, Call, Reply
from quorate.application.rate_limiter import rate_limit_problem
from quorate.application.request_metrics import RequestMetrics
from quorate.contracts.examples import BODIES
from quorate.contracts.operations import AnyOperation, Operation, known_codes
from quorate.contracts.problem_models import schema_name
from quorate.contracts.problems import CONTENT_TYPE, KINDS, Problem, body_of
from quorate.contracts.wire_models import SnakeRequest, SnakeResponse
from quorate.domain.coordination.leases import LeaseNotFound
from quorate.domain.identity.principals import Principal
from quorate.runtime.asgi import Scope
from tests.integration.api.http_server import RunningServer, run_server
from tests.integration.api.raw_clients import RawConnection, RawResponse, head
from tests.integration.api.schema_reader import parts, resolved, validator


class MailBody(SnakeRequest):
    raises: str = ""


class Sent(SnakeResponse):
    message_id: str


def operation(name: str, path: str, *, error_object: bool = True) -> AnyOperation:
    return Operation(
        method="POST",
        path=path,
        name=name,
        summary="Send",
        roles=frozenset({"tenant"}),
        body=MailBody,
        response=Sent,
        errors=(LeaseNotFound,),
        error_object=error_object,
    )


SEND = operation("send", "/email/{message_id}/send")
FAST = operation("fast", "/email/fast")
OTHER = operation("other", "/v1/other", error_object=False)
SHARED = operation("shared", "/v1/shared")


async def _handle(call: Call) -> Reply:
    match call.body.raises:
        case "limit":
            raise rate_limit_problem("key", 2.5, burst=3)
        case "domain":
            raise LeaseNotFound
        case "bug":
            raise ValueError("bug")
    return Reply(body=b"{}")


async def _principal(key: str, _scope: Scope) -> Principal | None:
    return Principal(key_id=key, role="auditor" if key == "auditor" else "tenant", tenant="acme")


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    app = FastAPI(openapi_url=None)
    for one in (SEND, OTHER, SHARED):
        app.router.routes.append(route_for(one, HttpAdmission(one, _principal), _handle))
    add_error_handlers(app, RequestMetrics().of("http"))
    with run_server(FastLane(app, [FastOperation(HttpAdmission(FAST, _principal), _handle)])) as it:
        yield it


def post(path: str, body: bytes = b"{}", key: str = "tenant", method: str = "POST") -> bytes:
    headers = {"Content_Type": "application/json", "Content_Length": len(body)}
    return head(method, path, Authorization=f"Bearer {key}", **headers) + body


def answer(server: RunningServer, request: bytes) -> RawResponse:
    with RawConnection(server.port) as connection:
        return connection.send(request).read_response()


SENT = "/email/msg_1/send"
REJECTED = {
    "invalid_request": post(SENT, b'{"other":1}'),
    "malformed_request": post(SENT, b"{"),
    "unauthorized": post(SENT, key=""),
    "role_forbidden": post(SENT, key="auditor"),
    "tenant_forbidden": post(SENT, b'{"tenant_id":"other"}'),
    "rate_limited": post(SENT, b'{"raises":"limit"}'),
    "lease_not_found": post(SENT, b'{"raises":"domain"}'),
    "internal_error": post(SENT, b'{"raises":"bug"}'),
    "not_found": post("/email/none"),
    "method_not_allowed": post(SENT, method="PUT"),
}


@pytest.mark.parametrize("code", REJECTED)
def test_problem_contains_the_error(server: RunningServer, code: str) -> None:
    response = answer(server, REJECTED[code])
    assert response.code == code
    problem = response.json
    details = problem["error"].pop("details")
    assert problem["error"] == {
        "code": code,
        "message": problem["detail"],
        "retry_after": 3 if code == "rate_limited" else None,
    }
    assert set(details) == {
        "invalid_request": {"errors"},
        "role_forbidden": {"role"},
        "rate_limited": {"limited_by", "retry_after_seconds"},
    }.get(code, set())


def test_problem_of_the_fast_lane_contains_the_error(server: RunningServer) -> None:
    assert answer(server, post("/email/fast", b"{")).json["error"]["code"] == "malformed_request"


@pytest.mark.parametrize("path", ["/v1/other", "/v1/none", "/none", "/"])
def test_other_problems_do_not_contain_it(server: RunningServer, path: str) -> None:
    for request in (post(path, b'{"other":1}'), post(path, method="PUT")):
        assert "error" not in answer(server, request).json


def test_operation_beside_others_has_it_for_its_own_problems(server: RunningServer) -> None:
    assert "error" in answer(server, post("/v1/shared", b"{")).json
    assert "error" not in answer(server, post("/v1/shared", method="PUT")).json


def test_schema_describes_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    operations = (SEND, OTHER)
    for one in operations:
        monkeypatch.setitem(HANDLERS, one.name, _handler)
        monkeypatch.setitem(BODIES, one.name, {})
    whole = document(operations)
    assert "{message_id}" in next(iter(whole["paths"]))
    for one in operations:
        responses = whole["paths"][one.path]["post"]["responses"]
        for code in known_codes(one):
            content = responses[str(KINDS[code].status)]["content"][CONTENT_TYPE.decode()]
            names = {part["$ref"] for part in parts(content) if "$ref" in part}
            assert _ref(code, has_error=one.error_object) in names
            assert _ref(code, has_error=not one.error_object) not in names
            assert all(resolved(whole, name) for name in names)
    name = schema_name("internal_error", error_object=True)
    schema = validator(whole, {"$ref": f"#/components/schemas/{name}"})
    problem = json.loads(body_of(Problem("internal_error", "a"), "r", error_object=True))
    assert schema.is_valid(problem)
    assert not schema.is_valid(problem | {"error": {"code": "internal_error"}})


def _ref(code: str, *, has_error: bool) -> str:
    return f"#/components/schemas/{schema_name(code, error_object=has_error)}"


async def _handler(_service: object, call: Call) -> Reply:
    return await _handle(call)
