"""Generated valid and invalid requests only get responses that the document describes.

1. The document is narrowed: ids and names become enumerations of existing ones. Generated requests
   therefore reach leases, votes and keys in every state.
2. The full document is tested with keys of every role and without a key.
3. The full document is tested as a state machine: requests use values of earlier responses.

For a long run set QUORATE_SCHEMATHESIS_EXAMPLES=2000 (per endpoint) and add --timeout=0.
"""

import copy
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from quorate.api.openapi import openapi_document
from quorate.api.routes import ENDPOINTS, public_path
from tests.integration.api.raw_clients import RunningService, run_service
from tests.integration.api.schema_reader import parts

EXAMPLES = int(os.environ.get("QUORATE_SCHEMATHESIS_EXAMPLES", "15"))
STEPS_MAX = 15
RESPONSE_SECONDS_MAX = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
    allow_header_conformance,
]
STREAM_PATHS = {endpoint.path for endpoint in ENDPOINTS if endpoint.streams}
WAIT_SECONDS_MAX = 0.05  # Limits long polls, which otherwise exceed the time of a test.
DETERMINISTIC = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS_MAX,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

NAMES = ["ann", "Bob", "c.d_e-f"]
CONTACTS = ["a@example.com", "B@Example.com", "b@example.com", "c@m\u00fcnchen.example"]
KEYS_MAX = 3
# Placeholders: the ids exist only after the service has started.
AGENTS = [f"agent-{number}" for number in range(len(NAMES))]
LEASES = [f"lease-{number}" for number in range(len(CONTACTS))]
REQUESTS = [f"request-{number}" for number in range(5)]
KEYS = [f"key-{number}" for number in range(KEYS_MAX)]
MESSAGES = [f"message-{number}" for number in range(3)]
THREADS = [f"thread-{number}" for number in range(3)]
DELIVERIES = [f"delivery-{number}" for number in range(3)]
# Their keys or bodies are not generated: test_mail_domains.py and test_inbound_mail.py. Messages
# with a file come from outside only, and few requests have an admin key (test_tenants.py).
NOT_GENERATED = {
    "POST /email/inbound",
    "GET /email/message/{message_id}/attachment/{number}",
    "GET /v1/tenants/{tenantId}",
    *(f"{method} /v1/tenants/{{tenantId}}/mail-domain" for method in ("GET", "PUT")),
}
ENDING = {"releaseLease", "revokeKey", "rotateKey"}  # These get unknown ids only.
KNOWN_VALUES: dict[str, list[Any]] = {
    "tenantId": ["default"],
    "tenant_id": ["default"],
    "agent_id": AGENTS,
    "agent_name": NAMES,
    "to": [["ann@agents.localhost"], ["kim@example.com", "Bob@agents.localhost"]],
    "cc": [[], ["c@example.com"]],
    "message_id": MESSAGES,
    "thread_id": THREADS,
    "delivery_id": DELIVERIES,
    "agentName": NAMES,
    "proposerAgent": NAMES,
    "agentId": AGENTS,
    "requestingAgentId": AGENTS,
    "contactEmail": CONTACTS,
    "leaseId": LEASES,
    "consensusId": REQUESTS,
    "keyId": KEYS,
    "preset_name": ["observer", "reader"],
    "preset": ["observer"],
}
# Agents of their own for the operations that end one, and fields that would give conflicts only.
ENDING_AGENTS = {"deregister": "agent-leaving", "removeAgent": "agent-left"}
UNUSED_FIELDS = {"holder", "incarnation", "onlyIfIdle", "in_reply_to", "lease_fence"}


@schemathesis.serializer("message/rfc822")
def write_raw_message(_context: Any, value: Any) -> bytes:  # noqa: ANN401 - generated.
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


# -- Documents ---------------------------------------------------------------


def narrow(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the document that only allows the known values."""
    document = copy.deepcopy(document)
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Body"):
            for field in schema["properties"].keys() & KNOWN_VALUES.keys():
                schema["properties"][field] = {"enum": KNOWN_VALUES[field]}
            for field in UNUSED_FIELDS:
                schema["properties"].pop(field, None)
    leaving = document["components"]["schemas"]["DeregisterBody"]["properties"]
    leaving["agentId"] = {"enum": [ENDING_AGENTS["deregister"]]}
    del leaving["agentName"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in KNOWN_VALUES:
                    values = KNOWN_VALUES[parameter["name"]]
                    ends = operation["operationId"] in ENDING
                    known = values[:1] if ends else values
                    if operation["operationId"] in ENDING_AGENTS:
                        known = [ENDING_AGENTS[operation["operationId"]]]
                    parameter["schema"] = {"enum": known}
    return document


def prepare(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with undocumented fields forbidden in responses."""
    document = copy.deepcopy(document)
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Response"):
            schema["additionalProperties"] = False
    for path in STREAM_PATHS:
        del document["paths"][path]
    for part in parts(document):
        if part.get("name") == "wait":
            part["schema"]["maximum"] = WAIT_SECONDS_MAX
    return document


def load(document: dict[str, Any], operation_id: str) -> Any:  # noqa: ANN401 - its own type.
    """Load one operation into schemathesis, with the other methods of its path.

    With all paths, each test would keep all operations in memory.
    """
    paths = {
        path: methods
        for path, methods in document["paths"].items()
        if operation_id in {one["operationId"] for one in methods.values()}
    }
    schema = schemathesis.openapi.from_dict({**document, "paths": paths})
    return schema.include(operation_id=operation_id)


# Ids of sessions, tasks, lists and schedules exist only after other calls, and their waits are in
# bodies: test_sessions.py, test_tasks.py, test_task_lists.py, test_schedules.py, test_presets.py.
OTHERWISE_TESTED = ("/v1/tools", "/v1/tasks", "/v1/sessions", "/v1/presets")
GENERATED = [
    one for one in ENDPOINTS if not one.streams and not one.path.startswith(OTHERWISE_TESTED)
]
NARROWED, FULL = prepare(narrow(openapi_document())), prepare(openapi_document())
FULL_SCHEMA = schemathesis.openapi.from_dict(
    {
        **FULL,
        "paths": {
            path: one
            for path, one in FULL["paths"].items()
            if not path.startswith(OTHERWISE_TESTED)
        },
    }
)


# -- Fixtures ----------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def ids(service: RunningService) -> dict[str, str]:
    """Create agents, leases, proposals and keys; return their ids by placeholder."""

    def create(path: str, **body: object) -> str:
        return str(service.request("POST", path, body).json["id"])

    coordination = "/v1/agent/coordination"
    proposal = {"action": "a", "reason": "b", "contactEmail": "a@example.com", "timeoutMinutes": 60}
    # No generated request registers it again, which would end its leases.
    create("/v1/agent/register", agentName="keeper")
    left = create("/v1/agent/register", agentName="left")
    service.request("POST", "/v1/agent/deregister", {"agentId": left})
    return {
        ENDING_AGENTS["removeAgent"]: left,
        ENDING_AGENTS["deregister"]: create("/v1/agent/register", agentName="leaving"),
        **{
            agent: create("/v1/agent/register", agentName=name)
            for agent, name in zip(AGENTS, NAMES, strict=True)
        },
        **{
            lease: create(f"{coordination}/lease", agentName="keeper", contactEmail=f"{lease}@a.eu")
            for lease in LEASES
        },
        **{
            request: create(f"{coordination}/consensus", proposerAgent="ann", **proposal)
            for request in REQUESTS
        },
        **{key: create("/v1/keys", role="auditor") for key in KEYS},
        **_messages(service),
    }


def _messages(service: RunningService) -> dict[str, str]:
    """Send messages of one agent to all agents and to a person."""
    found: dict[str, str] = {}
    addresses = [f"{name}@agents.localhost" for name in NAMES]
    for names in zip(MESSAGES, THREADS, DELIVERIES, strict=True):
        body = {"agent_name": NAMES[0], "to": ["kim@example.com", *addresses]}
        sent = service.request("POST", "/email/send", body).json
        message_id = str(sent["message_id"])
        found |= dict(zip(names, (message_id, sent["thread_id"], f"{message_id}.0"), strict=True))
    return found


@pytest.fixture(scope="module")
def keys(service: RunningService) -> Iterator[str | None]:
    """A cycle of one key of each role and None."""
    agent = service.request("POST", "/v1/keys", {"role": "agent", "agentName": NAMES[0]})
    auditor = service.request("POST", "/v1/keys", {"role": "auditor"})
    found = [service.key, service.admin_key, agent.json["key"], auditor.json["key"], None]
    return itertools.cycle(found)


def with_ids(value: Any, ids: dict[str, str]) -> Any:  # noqa: ANN401 - any JSON value.
    match value:
        case dict():
            return {name: with_ids(inner, ids) for name, inner in value.items()}
        case list():
            return [with_ids(inner, ids) for inner in value]
        case str():
            return ids.get(value, value)
        case _:
            return value


STATUS_COUNTS: Counter[tuple[int, str, int]] = Counter()  # By port, operation and status.


def statuses(service: RunningService) -> set[tuple[str, int]]:
    """Return the operations that a service served, with the statuses of the responses."""
    return {(label, status) for port, label, status in STATUS_COUNTS if port == service.port}


def check(
    case: Case[Any], service: RunningService, key: str | None, session: requests.Session
) -> None:
    response = case.call(
        base_url=f"http://127.0.0.1:{service.port}",
        session=session,
        headers={} if key is None else {"Authorization": f"Bearer {key}"},
        timeout=RESPONSE_SECONDS_MAX,
    )
    STATUS_COUNTS[service.port, case.operation.label, response.status_code] += 1
    case.validate_response(response, checks=CHECKS)


# -- Tests -------------------------------------------------------------------


def tenant_request(schema: Any) -> Callable[..., None]:  # noqa: ANN401 - see load().
    """Build a test of requests with existing agents, leases, votes and keys."""

    @schema.parametrize()  # type: ignore[untyped-decorator]
    @DETERMINISTIC
    def test(
        case: Case[Any], service: RunningService, session: requests.Session, ids: dict[str, str]
    ) -> None:
        case.path_parameters = with_ids(case.path_parameters, ids)
        case.query = with_ids(case.query, ids)
        case.body = with_ids(case.body, ids)
        for sent in (case.query, case.body):
            if isinstance(sent, dict) and {"agentId", "agentName"} <= sent.keys():
                del sent["agentName"]  # An id and a name of different agents always give 404.
            if isinstance(sent, dict) and {"agent_id", "agent_name"} <= sent.keys():
                del sent["agent_name"]
        check(case, service, service.key, session)

    return test  # type: ignore[no-any-return]


def request_with_any_key(schema: Any) -> Callable[..., None]:  # noqa: ANN401 - see load().
    """Build a test of requests with keys of every role and without a key."""

    @schema.parametrize()  # type: ignore[untyped-decorator]
    @DETERMINISTIC
    def test(
        case: Case[Any],
        service: RunningService,
        session: requests.Session,
        keys: Iterator[str | None],
    ) -> None:
        check(case, service, next(keys), session)

    return test  # type: ignore[no-any-return]


# One test function per endpoint: schemathesis gives all of them the same id, and pytest-xdist would
# then run only one of them.
TESTS = {
    f"test_{make.__name__}_{endpoint.name}": make(load(document, endpoint.name))
    for make, document in ((tenant_request, NARROWED), (request_with_any_key, FULL))
    for endpoint in GENERATED
}
globals().update(TESTS)


def test_linked_requests_match_the_document(service: RunningService, ids: dict[str, str]) -> None:
    """Requests use values from the responses before them."""
    assert ids

    class Path(FULL_SCHEMA.as_state_machine()):  # type: ignore[misc] # Made at run time.
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            del case
            return {
                "base_url": f"http://127.0.0.1:{service.port}",
                "headers": {"Authorization": f"Bearer {service.key}"},
                "timeout": RESPONSE_SECONDS_MAX,
            }

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            case.validate_response(response, checks=CHECKS)

    Path.run(settings=DETERMINISTIC)


def test_every_endpoint_was_exercised(
    request: pytest.FixtureRequest, service: RunningService
) -> None:
    """Verify that the tests above had a successful request to every endpoint."""
    chosen = {str(getattr(item, "originalname", "")) for item in request.session.items}
    if not chosen >= TESTS.keys():
        pytest.skip("only some of the tests were selected")
    labels = {f"{one.method} {public_path(one)}" for one in GENERATED}
    found = statuses(service)
    served = {label for label, status in found if status == 200}
    assert labels - NOT_GENERATED <= served
    assert {200, 400, 401, 403, 404, 405, 409, 415, 422} <= {status for _, status in found}
