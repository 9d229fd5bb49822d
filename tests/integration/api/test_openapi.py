"""The document promises what is enforced: no more, no less, and for every endpoint."""

import json
from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from quorate.api.documents import openapi_document
from quorate.api.json_schemas import Json
from quorate.api.openapi import public_path
from quorate.api.problem_schemas import schema_name
from quorate.api.routes import ENDPOINTS
from quorate.application.operations import Endpoint, known_codes
from quorate.application.rate_limiter import rate_limited
from quorate.contracts.examples import RESPONSES, BODIES, QUERIES
from quorate.contracts.problems import CONTENT_TYPE, KINDS, problem_body
from quorate.domain.coordination.leases import LeaseHeld
from quorate.domain.identity.agents import AgentInactive
from quorate.domain.shared.email_addresses import AddressUnusable
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.quotas import QuotaExceeded
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.serialization import camel, public
from tests.integration.api.schema_reader import (
    KEYWORDS,
    accepts,
    bounds,
    closed,
    parts,
    resolved,
    schemas,
    validator,
)

DOCUMENT = openapi_document()
SCHEMAS = DOCUMENT["components"]["schemas"]
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "requestId"}

WITH_BODY = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
WITH_QUERY = [endpoint for endpoint in ENDPOINTS if endpoint.query is not None]


def named(endpoint: Endpoint) -> str:
    return endpoint.name


def operation(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][public_path(endpoint)][endpoint.method.lower()]
    return found


def valid(schema: Json) -> Any:  # noqa: ANN401 - has no public type.
    return validator(DOCUMENT, schema)


# -- The whole ---------------------------------------------------------------


def test_it_documents_the_table_and_nothing_else() -> None:
    documented = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert documented == {(one.method, public_path(one)) for one in ENDPOINTS}
    names = [operation(one)["operationId"] for one in ENDPOINTS]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere() -> None:
    refs = [part["$ref"] for part in parts(DOCUMENT) if "$ref" in part]
    assert refs
    for ref in refs:
        assert resolved(DOCUMENT, ref)


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_schemas_speak_json_schema_only() -> None:
    for name, schema in SCHEMAS.items():
        jsonschema_rs.meta.validate(schema)
        for found in schemas(schema):
            assert set(found) <= KEYWORDS, name


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_every_answer_of_an_endpoint_is_documented(endpoint: Endpoint) -> None:
    responses = operation(endpoint)["responses"]
    for code in known_codes(endpoint):
        content = responses[str(KINDS[code].status)]["content"][CONTENT_TYPE.decode()]
        body = json.loads(problem_body(code, "Why.", minimal_facts(code), "request-1"))
        valid(content["schema"]).validate(body)
    for status, response in responses.items():
        media = set(response["content"])
        assert status == "200" or CONTENT_TYPE.decode() in media
        assert "X-Request-Id" in response["headers"]


def minimal_facts(code: str) -> dict[str, Any]:
    if code == "rate_limited":  # Decided before there is a command.
        return dict(rate_limited("tenant", 0.5).details)
    return {name: fact for kind in refusals() if kind.code == code for name, fact in told(kind)}


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_it_says_whose_key_is_needed(endpoint: Endpoint) -> None:
    found = operation(endpoint)
    assert found.get("x-quorate-roles", []) == sorted(endpoint.roles)
    assert found["security"] == ([{"bearer": []}, {"apiKey": []}] if endpoint.roles else [])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_commands_and_only_commands_take_an_idempotency_key(endpoint: Endpoint) -> None:
    names = {parameter["name"] for parameter in operation(endpoint)["parameters"]}
    assert ("Idempotency-Key" in names) == endpoint.command


# -- Problems ----------------------------------------------------------------


def refusals(kind: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for one in kind.__subclasses__():
        if "code" in vars(one):
            yield one
        yield from refusals(one)


def told(kind: type[DomainError]) -> Iterator[tuple[str, Any]]:
    """The facts of a refusal, as they go out; no fact replaces a member of every problem."""
    conflict: Any = SimpleNamespace(holder_id="a", holder_name="b", expires_at=Timestamp(0))
    samples: dict[type[DomainError], dict[str, Any]] = {
        LeaseHeld: {"event": conflict},
        AgentInactive: {"agent_id": "a", "last_heartbeat": Timestamp(0)},
        QuotaExceeded: {"quota": "agents", "limit": 3},
    }
    texts = {
        "vote": "approve",
        "role": "tenant",
        "lease_status": "expired",
        "consensus_status": "approved",
    }
    sample = {field.name: texts.get(field.name, "text") for field in fields(kind)}
    facts = public(kind(**samples.get(kind, sample)).facts)
    yield from ((camel(name), fact) for name, fact in facts.items() if name not in PROBLEM_MEMBERS)


# An address is refused before there is a command; its one fact is the problem's detail.
DECIDED = [kind for kind in refusals() if kind is not AddressUnusable]


@pytest.mark.parametrize("kind", DECIDED, ids=lambda kind: kind.code)
def test_every_fact_of_a_refusal_is_documented(kind: type[DomainError]) -> None:
    documented = SCHEMAS[schema_name(kind.code)]["allOf"][1]["properties"]
    assert {name for name, _ in told(kind)} == set(documented) - PROBLEM_MEMBERS


def test_a_problem_without_its_facts_is_no_such_problem() -> None:
    schema = valid(SCHEMAS[schema_name("lease_conflict")])
    facts = dict(told(LeaseHeld))
    assert schema.is_valid(json.loads(problem_body("lease_conflict", "", facts, "1")))
    assert not schema.is_valid(json.loads(problem_body("lease_conflict", "", {}, "1")))
    assert not schema.is_valid(json.loads(problem_body("lease_ended", "", facts, "1")))


# -- Examples ----------------------------------------------------------------


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_the_example_of_a_body_is_accepted(endpoint: Endpoint) -> None:
    content = operation(endpoint)["requestBody"]["content"]["application/json"]
    assert endpoint.body is not None
    endpoint.body.model_validate(content["example"])
    valid(content["schema"]).validate(content["example"])


@pytest.mark.parametrize("endpoint", WITH_QUERY, ids=named)
def test_the_example_of_a_query_is_accepted(endpoint: Endpoint) -> None:
    parameters = [one for one in operation(endpoint)["parameters"] if "example" in one]
    assert endpoint.query is not None
    asked = {one["name"]: one["example"] for one in parameters}
    endpoint.query.model_validate({name: str(value) for name, value in asked.items()})
    assert asked == QUERIES.get(endpoint.name, {})
    for one in parameters:
        valid(one["schema"]).validate(one["example"])


@pytest.mark.parametrize("name", RESPONSES)
def test_the_example_of_an_answer_is_one(name: str) -> None:
    [endpoint] = [one for one in ENDPOINTS if one.name == name]
    schema = closed(TypeAdapter(endpoint.response).json_schema())
    jsonschema_rs.Draft202012Validator(schema).validate(RESPONSES[name])


def test_no_example_belongs_to_nobody() -> None:
    assert set(BODIES) == {endpoint.name for endpoint in WITH_BODY}
    assert set(QUERIES) <= {endpoint.name for endpoint in WITH_QUERY}
    assert set(RESPONSES) <= {endpoint.name for endpoint in ENDPOINTS}


# -- Bounds ------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_the_bounds_of_a_body_are_those_enforced(endpoint: Endpoint) -> None:
    assert endpoint.body is not None
    content = operation(endpoint)["requestBody"]["content"]["application/json"]
    schema = resolved(DOCUMENT, content["schema"]["$ref"])
    check = valid(content["schema"])
    for name, found in schema["properties"].items():
        for value, fits in bounds(found):
            body = content["example"] | {name: value}
            assert accepts(endpoint.body, body) == fits, (name, value)
            assert check.is_valid(body) == fits, (name, value)
    for name in schema.get("required", ()):
        body = {key: value for key, value in content["example"].items() if key != name}
        assert not accepts(endpoint.body, body)
    is_strict = schema.get("additionalProperties") is False
    assert accepts(endpoint.body, content["example"] | {"unknown": 1}) != is_strict


@pytest.mark.parametrize("endpoint", WITH_QUERY, ids=named)
def test_the_bounds_of_a_query_are_those_enforced(endpoint: Endpoint) -> None:
    assert endpoint.query is not None
    parameters = [one for one in operation(endpoint)["parameters"] if one["in"] == "query"]
    known = {field.alias or name for name, field in endpoint.query.model_fields.items()}
    assert {one["name"] for one in parameters} == known
    for parameter in parameters:
        check = valid(parameter["schema"])
        for value, fits in bounds(parameter["schema"]):
            is_text = isinstance(value, str) and parameter["schema"]["type"] == "string"
            is_number = isinstance(value, int) and parameter["schema"]["type"] == "integer"
            if is_text or (is_number and not isinstance(value, bool)):
                asked = {parameter["name"]: str(value)}
                assert accepts(endpoint.query, asked) == fits, asked
                assert check.is_valid(value) == fits, asked
