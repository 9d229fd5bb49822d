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
from tests.integration.api.existing_resources import (
    KNOWN_VALUES,
    NAMES,
    OPERATION_VALUES,
    UNUSED_FIELDS,
    create_resources,
    keep_active,
    mail_server_key,
)
from tests.integration.api.raw_clients import RunningService, run_service
from tests.integration.api.schema_reader import parts, resolved

EXAMPLES = int(os.environ.get("QUORATE_SCHEMATHESIS_EXAMPLES", "15"))
STEPS_MAX = 15
RESPONSE_SECONDS_MAX = 60
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
ROLES = {f"{one.method} {public_path(one)}": one.roles for one in ENDPOINTS}
WAIT_SECONDS_MAX = 0.05  # Limits long polls, which otherwise exceed the time of a test.
NOT_REACHED = {"POST /email/inbound"}  # No generated text is a message: test_inbound_mail.py.
DETERMINISTIC = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS_MAX,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("message/rfc822")
def write_raw_message(_context: Any, value: Any) -> bytes:  # noqa: ANN401 - generated.
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


# -- Documents ---------------------------------------------------------------


def narrow(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the document that only allows the known values."""
    document = copy.deepcopy(document)
    for methods in document["paths"].values():
        for operation in methods.values():
            special = OPERATION_VALUES.get(operation["operationId"], {})
            known = {name: values for name, values in (KNOWN_VALUES | special).items() if values}
            for parameter in operation["parameters"]:
                if parameter["name"] in known:
                    parameter["schema"] = {"enum": known[parameter["name"]]}
            media = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if media is None:
                continue
            # Each operation gets its own copy: some share a model.
            media["schema"] = body = copy.deepcopy(resolved(document, media["schema"]["$ref"]))
            fields = body["properties"]
            for name in fields.keys() & known.keys():
                fields[name] = {"enum": known[name]}
            for name in UNUSED_FIELDS | {name for name, values in special.items() if not values}:
                fields.pop(name, None)
    return document


def prepare(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document with undocumented fields forbidden in responses."""
    document = copy.deepcopy(document)
    for path in STREAM_PATHS:
        del document["paths"][path]
    schemas = document["components"]["schemas"]
    for name in used_schemas(document, "responses") - used_schemas(document, "requestBody"):
        if "properties" in schemas[name]:
            schemas[name].setdefault("additionalProperties", False)
    for part in parts(document):
        if part.get("name") == "wait":
            part["schema"]["maximum"] = WAIT_SECONDS_MAX
    return document


def used_schemas(document: dict[str, Any], *members: str) -> set[str]:
    """Return the names of the schemas to which these members of the operations refer."""
    todo: list[Any] = [
        [operation.get(member) for member in members]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]
    found: set[str] = set()
    while todo:
        for part in parts(todo.pop()):
            reference = str(part.get("$ref", ""))
            name = reference.rpartition("/")[2]
            if reference.startswith("#/components/schemas/") and name not in found:
                found.add(name)
                todo.append(document["components"]["schemas"][name])
    return found


def load(document: dict[str, Any], operation_id: str) -> Any:  # noqa: ANN401 - its own type.
    """Load one operation into schemathesis, with the other methods of its path.

    With all paths and schemas, each test would keep all of them in memory.
    """
    paths = {
        path: methods
        for path, methods in document["paths"].items()
        if operation_id in {one["operationId"] for one in methods.values()}
    }
    components = document["components"]
    used = used_schemas({**document, "paths": paths}, "requestBody", "responses", "parameters")
    schemas = {name: one for name, one in components["schemas"].items() if name in used}
    part = {**document, "paths": paths, "components": {**components, "schemas": schemas}}
    schema = schemathesis.openapi.from_dict(part)
    return schema.include(operation_id=operation_id)


GENERATED = [one for one in ENDPOINTS if not one.streams]
NARROWED, FULL = prepare(narrow(openapi_document())), prepare(openapi_document())
FULL_SCHEMA = schemathesis.openapi.from_dict(FULL)


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
def ids(service: RunningService) -> dict[str, Any]:
    return create_resources(service)


@pytest.fixture
def active(service: RunningService, ids: dict[str, Any]) -> None:
    """Keep the agents of the ids active: one test follows another within their timeout."""
    assert ids
    keep_active(service)


@pytest.fixture(scope="module")
def mail_key(service: RunningService) -> str:
    return mail_server_key(service)


@pytest.fixture(scope="module")
def keys(service: RunningService) -> Iterator[str | None]:
    """A cycle of one key of each role and None."""
    agent = service.request("POST", "/v1/keys", {"role": "agent", "agentName": NAMES[0]})
    auditor = service.request("POST", "/v1/keys", {"role": "auditor"})
    found = [service.key, service.admin_key, agent.json["key"], auditor.json["key"], None]
    return itertools.cycle(found)


def with_ids(value: Any, ids: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value.
    match value:
        case dict():
            return {name: with_ids(inner, ids) for name, inner in value.items()}
        case list():
            return [with_ids(inner, ids) for inner in value]
        case str():
            return ids.get(value, value)
        case _:
            return value


def limit_waits(body: Any) -> None:  # noqa: ANN401 - any JSON value.
    """Let no request wait longer than the test: the defaults of some tools are minutes."""
    if not isinstance(body, dict):
        return
    if "task" in body and body.get("nonblocking", False) is False:
        body["nonblocking"] = True
    if body.get("wait_for_reply") is True:
        body["wait_for_reply"] = False
    if isinstance(body.get("wait"), int | float):
        body["wait"] = min(body["wait"], WAIT_SECONDS_MAX)


STATUS_COUNTS: Counter[tuple[int, str, int]] = Counter()  # By port, operation and status.


def statuses(service: RunningService) -> set[tuple[str, int]]:
    """Return the operations that a service served, with the statuses of the responses."""
    return {(label, status) for port, label, status in STATUS_COUNTS if port == service.port}


def check(
    case: Case[Any], service: RunningService, key: str | None, session: requests.Session
) -> None:
    limit_waits(case.body)
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
    @pytest.mark.usefixtures("active")
    def test(
        case: Case[Any],
        service: RunningService,
        session: requests.Session,
        ids: dict[str, Any],
        mail_key: str,
    ) -> None:
        case.path_parameters = with_ids(case.path_parameters, ids)
        case.query = with_ids(case.query, ids)
        case.body = with_ids(case.body, ids)
        for sent in (case.query, case.body):
            if isinstance(sent, dict) and {"agentId", "agentName"} <= sent.keys():
                del sent["agentName"]  # An id and a name of different agents always give 404.
            if isinstance(sent, dict) and {"agent_id", "agent_name"} <= sent.keys():
                del sent["agent_name"]
        (only,) = roles if len(roles := ROLES[case.operation.label]) == 1 else ("tenant",)
        key = {"admin": service.admin_key, "mail": mail_key}.get(only, service.key)
        check(case, service, key, session)

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


def test_linked_requests_match_the_document(service: RunningService, ids: dict[str, Any]) -> None:
    """Requests use values from the responses before them."""
    assert ids

    class Path(FULL_SCHEMA.as_state_machine()):  # type: ignore[misc] # Made at run time.
        def before_call(self, case: Case[Any]) -> None:
            limit_waits(case.body)

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
    assert labels - NOT_REACHED <= served
    assert {200, 400, 401, 403, 404, 405, 409, 415, 422} <= {status for _, status in found}
