"""The OpenAPI document matches what the service enforces, for every endpoint."""

import json
from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, get_args

import jsonschema_rs
import pytest
from pydantic import TypeAdapter

from quorate.api.openapi import openapi_document
from quorate.api.routes import ENDPOINTS, public_path
from quorate.application.rate_limiter import rate_limit_problem
from quorate.contracts.examples import BODIES, QUERIES, RESPONSES
from quorate.contracts.json_schemas import Json
from quorate.contracts.operations import AnyOperation, known_codes
from quorate.contracts.problem_models import schema_name
from quorate.contracts.problems import (
    CONTENT_TYPE,
    KINDS,
    InvalidRequest,
    LogMismatch,
    OriginForbidden,
    RateLimited,
    problem_body,
)
from quorate.domain.coordination.leases import LeaseHeld
from quorate.domain.identity.agent_departures import AgentActive
from quorate.domain.identity.agents import AgentInactive
from quorate.domain.shared.daily_quotas import DailyQuotaExceeded
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


def named(endpoint: AnyOperation) -> str:
    return endpoint.name


def operation(endpoint: AnyOperation) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][public_path(endpoint)][endpoint.method.lower()]
    return found


def document_validator(schema: Json) -> Any:  # noqa: ANN401 - has no public type.
    return validator(DOCUMENT, schema)


# -- Document ----------------------------------------------------------------


def test_document_describes_exactly_the_registry() -> None:
    documented = {
        (method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods
    }
    assert documented == {(one.method, public_path(one)) for one in ENDPOINTS}
    names = [operation(one)["operationId"] for one in ENDPOINTS]
    assert len(set(names)) == len(names)


def test_every_reference_resolves() -> None:
    refs = [part["$ref"] for part in parts(DOCUMENT) if "$ref" in part]
    assert refs
    for ref in refs:
        assert resolved(DOCUMENT, ref)


def test_document_is_plain_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_schemas_contain_only_json_schema_keywords() -> None:
    for name, schema in SCHEMAS.items():
        jsonschema_rs.meta.validate(schema)
        for found in schemas(schema):
            assert set(found) <= KEYWORDS, name


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_every_response_of_an_endpoint_is_documented(endpoint: AnyOperation) -> None:
    responses = operation(endpoint)["responses"]
    for code in known_codes(endpoint):
        content = responses[str(KINDS[code].status)]["content"][CONTENT_TYPE.decode()]
        body = json.loads(problem_body(code, "Reason.", required_details(code), "request-1"))
        document_validator(content["schema"]).validate(body)
    for status, response in responses.items():
        media = set(response["content"])
        assert status == "200" or CONTENT_TYPE.decode() in media
        assert "X-Request-Id" in response["headers"]


def required_details(code: str) -> dict[str, Any]:
    if code == "rate_limited":  # The rate limiter rejects before a command exists.
        return dict(rate_limit_problem("tenant", 0.5, 1).details)
    return {
        name: value
        for kind in domain_errors()
        if kind.code == code
        for name, value in details_of(kind)
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_document_names_the_permitted_roles(endpoint: AnyOperation) -> None:
    found = operation(endpoint)
    assert found.get("x-quorate-roles", []) == sorted(endpoint.roles)
    assert found["security"] == ([{"bearer": []}, {"apiKey": []}] if endpoint.roles else [])


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=named)
def test_only_commands_accept_an_idempotency_key(endpoint: AnyOperation) -> None:
    names = {parameter["name"] for parameter in operation(endpoint)["parameters"]}
    assert ("Idempotency-Key" in names) == endpoint.command


# -- Problems ----------------------------------------------------------------


NOT_IN_OPENAPI = {OriginForbidden}  # Of MCP, which is no operation.


def domain_errors(kind: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    for one in kind.__subclasses__():
        if "code" in vars(one) and one not in NOT_IN_OPENAPI:
            yield one
        yield from domain_errors(one)


def details_of(kind: type[DomainError]) -> Iterator[tuple[str, Any]]:
    """Yield the details of a domain error as sent; details never replace members of a problem."""
    conflict: Any = SimpleNamespace(
        holder_id="a", holder_name="b", holder="c", expires_at=Timestamp(0)
    )
    samples: dict[type[DomainError], dict[str, Any]] = {
        LeaseHeld: {"event": conflict, "will_notify": True},
        AgentActive: {"agent_id": "a", "active_until": Timestamp(0)},
        AgentInactive: {"agent_id": "a", "last_heartbeat": Timestamp(0)},
        QuotaExceeded: {"quota": "agents", "limit": 3},
        DailyQuotaExceeded: {
            "quota": "events_per_day",
            "limit": 3,
            "resets_at": Timestamp(0),
            "retry_after_seconds": 9,
        },
        LogMismatch: {"log_id": "a", "head": 3},
        RateLimited: {"limited_by": "tenant", "retry_after_seconds": 0.5},
        InvalidRequest: {"errors": [{"field": "limit", "why": "too large"}]},
    }
    texts = {
        "vote": "approve",
        "role": "tenant",
        "lease_status": "expired",
        "consensus_status": "approved",
    }
    sample = {
        field.name: texts.get(field.name, _sample_value(field.type)) for field in fields(kind)
    }
    details = public(kind(**samples.get(kind, sample)).details)
    yield from (
        (camel(name), value) for name, value in details.items() if name not in PROBLEM_MEMBERS
    )


def _sample_value(type_: Any) -> Any:  # noqa: ANN401 - a type, and a value of it.
    if type_ is Timestamp:
        return Timestamp(0)
    return 3 if type_ is int else next(iter(get_args(type_)), "text")


@pytest.mark.parametrize("kind", list(domain_errors()), ids=lambda kind: kind.code)
def test_every_detail_of_an_error_is_documented(kind: type[DomainError]) -> None:
    names = [schema_name(kind.code, error_object=has_error) for has_error in (False, True)]
    found = [SCHEMAS[name] for name in names if name in SCHEMAS]
    assert found
    for schema in found:
        documented = set(schema["properties"]) - PROBLEM_MEMBERS - {"error"}
        assert {name for name, _ in details_of(kind)} == documented


def test_problem_schemas_are_flat_and_the_only_ones() -> None:
    """Code generators drop schemas that combine a constant with the type of a shared part."""
    problems = {name for name in SCHEMAS if name.endswith(("Problem", "ProblemWithError"))}
    for name in problems:
        assert set(SCHEMAS[name]["properties"]) >= PROBLEM_MEMBERS
        assert not {"allOf", "anyOf", "oneOf"} & set(SCHEMAS[name])
    assert not {"HTTPValidationError", "ValidationError"} & set(SCHEMAS)
    for endpoint in ENDPOINTS:
        for status, response in operation(endpoint)["responses"].items():
            content = response["content"].get(CONTENT_TYPE.decode())
            refs = {part["$ref"].rpartition("/")[2] for part in parts(content) if "$ref" in part}
            assert refs <= problems
            assert bool(refs) == (status != "200")


def test_problem_schema_requires_its_details() -> None:
    schema = document_validator(SCHEMAS[schema_name("lease_conflict")])
    details = dict(details_of(LeaseHeld))
    assert schema.is_valid(json.loads(problem_body("lease_conflict", "", details, "1")))
    assert not schema.is_valid(json.loads(problem_body("lease_conflict", "", {}, "1")))
    assert not schema.is_valid(json.loads(problem_body("lease_ended", "", details, "1")))


# -- Examples ----------------------------------------------------------------


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_body_example_is_accepted(endpoint: AnyOperation) -> None:
    content = operation(endpoint)["requestBody"]["content"]["application/json"]
    assert endpoint.body is not None
    endpoint.body.model_validate(content["example"])
    document_validator(content["schema"]).validate(content["example"])


@pytest.mark.parametrize("endpoint", WITH_QUERY, ids=named)
def test_query_example_is_accepted(endpoint: AnyOperation) -> None:
    parameters = [one for one in operation(endpoint)["parameters"] if "example" in one]
    assert endpoint.query is not None
    query = {one["name"]: one["example"] for one in parameters}
    endpoint.query.model_validate({name: str(value) for name, value in query.items()})
    assert query == QUERIES.get(endpoint.name, {})
    for one in parameters:
        document_validator(one["schema"]).validate(one["example"])


@pytest.mark.parametrize("name", RESPONSES)
def test_response_example_matches_its_type(name: str) -> None:
    [endpoint] = [one for one in ENDPOINTS if one.name == name]
    schema = closed(TypeAdapter[Any](endpoint.response or str).json_schema(mode="serialization"))
    jsonschema_rs.Draft202012Validator(schema).validate(RESPONSES[name])


def test_every_example_belongs_to_an_endpoint() -> None:
    assert set(BODIES) == {endpoint.name for endpoint in WITH_BODY}
    assert set(QUERIES) <= {endpoint.name for endpoint in WITH_QUERY}
    assert set(RESPONSES) <= {endpoint.name for endpoint in ENDPOINTS}


# -- Bounds ------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=named)
def test_body_schema_matches_the_enforced_limits(endpoint: AnyOperation) -> None:
    assert endpoint.body is not None
    content = operation(endpoint)["requestBody"]["content"]["application/json"]
    schema = resolved(DOCUMENT, content["schema"]["$ref"])
    check = document_validator(content["schema"])
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
def test_query_schema_matches_the_enforced_limits(endpoint: AnyOperation) -> None:
    assert endpoint.query is not None
    parameters = [one for one in operation(endpoint)["parameters"] if one["in"] == "query"]
    known = {field.alias or name for name, field in endpoint.query.model_fields.items()}
    assert {one["name"] for one in parameters} == known
    required = {
        name: "word" for name, field in endpoint.query.model_fields.items() if field.is_required()
    }
    for parameter in parameters:
        check = document_validator(parameter["schema"])
        for value, fits in bounds(parameter["schema"]):
            is_text = isinstance(value, str) and parameter["schema"]["type"] == "string"
            is_number = isinstance(value, int) and parameter["schema"]["type"] == "integer"
            if is_text or (is_number and not isinstance(value, bool)):
                query = required | {parameter["name"]: str(value)}
                assert accepts(endpoint.query, query) == fits, query
                assert check.is_valid(value) == fits, query
