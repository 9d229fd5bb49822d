"""No request that the document allows, and none that it forbids, gets an answer it does not name.

The document is narrowed first: where it says "an agent's id", it names the agents there are. So
what is generated gets past the door and meets leases, votes and keys in every state. Then the
document is tried as it is, with keys of every role and with none, and as a path from answer to
request.

A long run: QUORATE_SCHEMATHESIS_EXAMPLES=2000 (for each endpoint; add --timeout=0).
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

from quorate.api.documents import openapi_document
from quorate.api.routes import ENDPOINTS
from tests.integration.api.raw_clients import Served, serving
from tests.integration.api.schema_reader import parts

EXAMPLES = int(os.environ.get("QUORATE_SCHEMATHESIS_EXAMPLES", "15"))
STEPS_MAX = 15
ANSWER_SECONDS_MAX = 10
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    unsupported_method,
    allow_header_conformance,
]
UNENDING = {endpoint.path for endpoint in ENDPOINTS if endpoint.streams}
WAIT_SECONDS_MAX = 0.05  # Whoever waits for news may wait for longer than a test should last.
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
# Ids are not known before there is a service: until then, these stand for them.
AGENTS = [f"agent-{number}" for number in range(len(NAMES))]
LEASES = [f"lease-{number}" for number in range(len(CONTACTS))]
REQUESTS = [f"request-{number}" for number in range(5)]
KEYS = [f"key-{number}" for number in range(KEYS_MAX)]
NARROW = {
    "tenantId": ["default"],
    "agentName": NAMES,
    "proposerAgent": NAMES,
    "agentId": AGENTS,
    "requestingAgentId": AGENTS,
    "contactEmail": CONTACTS,
    "leaseId": LEASES,
    "consensusId": REQUESTS,
    "keyId": KEYS,
}


# -- Documents ---------------------------------------------------------------


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document as if the values of this world were all there are."""
    document = copy.deepcopy(document)
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Body") and not name.endswith("AnswerBody"):
            for field in schema["properties"].keys() & NARROW.keys():
                schema["properties"][field] = {"enum": NARROW[field]}
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if parameter["name"] in NARROW:
                    values = NARROW[parameter["name"]]
                    ends = operation["operationId"] in {"releaseLease", "revokeKey"}
                    parameter["schema"] = {"enum": values[:1] if ends else values}
    return document


def loaded(document: dict[str, Any]) -> Any:  # noqa: ANN401 - schemathesis' own type.
    """For schemathesis, and without room for fields of answers that it does not name."""
    document = copy.deepcopy(document)
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Response"):
            schema["additionalProperties"] = False
    for path in UNENDING:
        del document["paths"][path]
    for part in parts(document):
        if part.get("name") == "wait":
            part["schema"]["maximum"] = WAIT_SECONDS_MAX
    return schemathesis.openapi.from_dict(document)


THE_NARROW = loaded(narrowed(openapi_document()))
THE_WHOLE = loaded(openapi_document())


# -- The world ---------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def ids(service: Served) -> dict[str, str]:
    """Some of everything, by what stands for it."""

    def made(path: str, **body: object) -> str:
        return str(service.ask("POST", path, body).json["id"])

    coordination = "/v1/agent/coordination"
    asked = {"action": "a", "reason": "b", "contactEmail": "a@example.com", "timeoutMinutes": 60}
    return {
        **{
            agent: made("/v1/agent/register", agentName=name)
            for agent, name in zip(AGENTS, NAMES, strict=True)
        },
        **{
            lease: made(f"{coordination}/lease", agentName="ann", contactEmail=contact)
            for lease, contact in zip(LEASES, CONTACTS, strict=True)
        },
        **{
            request: made(f"{coordination}/consensus", proposerAgent="ann", **asked)
            for request in REQUESTS
        },
        **{key: made("/v1/keys", role="auditor") for key in KEYS},
    }


@pytest.fixture(scope="module")
def keys(service: Served) -> Iterator[str | None]:
    """A key of each role and none, over and over."""
    agent = service.ask("POST", "/v1/keys", {"role": "agent", "agentName": NAMES[0]})
    auditor = service.ask("POST", "/v1/keys", {"role": "auditor"})
    found = [service.key, service.admin_key, agent.json["key"], auditor.json["key"], None]
    return itertools.cycle(found)


def with_ids(value: Any, ids: dict[str, str]) -> Any:  # noqa: ANN401 - whatever is sent.
    match value:
        case dict():
            return {name: with_ids(inner, ids) for name, inner in value.items()}
        case list():
            return [with_ids(inner, ids) for inner in value]
        case str():
            return ids.get(value, value)
        case _:
            return value


HEARD: Counter[tuple[str, int]] = Counter()


def check(case: Case[Any], service: Served, key: str | None, session: requests.Session) -> None:
    response = case.call(
        base_url=f"http://127.0.0.1:{service.port}",
        session=session,
        headers={} if key is None else {"Authorization": f"Bearer {key}"},
        timeout=ANSWER_SECONDS_MAX,
    )
    HEARD[case.operation.label, response.status_code] += 1
    case.validate_response(response, checks=CHECKS)


# -- The tests ---------------------------------------------------------------


def among_its_own(schema: Any) -> Callable[..., None]:  # noqa: ANN401 - see loaded().
    """Requests of a tenant that knows its agents, leases, votes and keys."""

    @schema.parametrize()  # type: ignore[untyped-decorator]
    @DETERMINISTIC
    def test(
        case: Case[Any], service: Served, session: requests.Session, ids: dict[str, str]
    ) -> None:
        case.path_parameters = with_ids(case.path_parameters, ids)
        case.query = with_ids(case.query, ids)
        case.body = with_ids(case.body, ids)
        for said in (case.query, case.body):
            if isinstance(said, dict) and {"agentId", "agentName"} <= said.keys():
                del said["agentName"]  # Two names of different agents get no further than 404.
        check(case, service, service.key, session)

    return test  # type: ignore[no-any-return]


def anybody(schema: Any) -> Callable[..., None]:  # noqa: ANN401 - see loaded().
    """Requests of everybody, and of those who have no key."""

    @schema.parametrize()  # type: ignore[untyped-decorator]
    @DETERMINISTIC
    def test(
        case: Case[Any], service: Served, session: requests.Session, keys: Iterator[str | None]
    ) -> None:
        check(case, service, next(keys), session)

    return test  # type: ignore[no-any-return]


# A test function for each endpoint: schemathesis alone would give all of them one id, and whatever
# spreads tests over processes would then run one of them.
TESTS = {
    f"test_{make.__name__}_{endpoint.name}": make(schema.include(operation_id=endpoint.name))
    for make, schema in ((among_its_own, THE_NARROW), (anybody, THE_WHOLE))
    for endpoint in ENDPOINTS
    if not endpoint.streams
}
globals().update(TESTS)


def test_one_thing_after_another(service: Served, ids: dict[str, str]) -> None:
    """Each request takes what it can from the answers before it."""
    assert ids

    class Path(THE_WHOLE.as_state_machine()):  # type: ignore[misc] # Made at run time.
        def get_call_kwargs(self, case: Case[Any]) -> dict[str, Any]:
            del case
            return {
                "base_url": f"http://127.0.0.1:{service.port}",
                "headers": {"Authorization": f"Bearer {service.key}"},
                "timeout": ANSWER_SECONDS_MAX,
            }

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            case.validate_response(response, checks=CHECKS)

    Path.run(settings=DETERMINISTIC)


def test_all_of_it_was_reached(request: pytest.FixtureRequest) -> None:
    """The tests above are worth something: every endpoint carried something out for them."""
    chosen = {str(getattr(item, "originalname", "")) for item in request.session.items}
    if not chosen >= TESTS.keys():
        pytest.skip("only a part was chosen")
    labels = {operation.ok().label for operation in THE_WHOLE.get_all_operations()}
    assert labels == {label for label, status in HEARD if status == 200}
    assert {200, 400, 401, 403, 404, 405, 409, 415, 422} <= {status for _, status in HEARD}
