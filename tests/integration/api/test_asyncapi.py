"""The AsyncAPI document matches the operations and notifications of the service over NATS."""

import copy
import json
import re
from dataclasses import fields
from typing import Any

import jsonschema_rs
import orjson
import pytest

from quorate.api.documents import asyncapi_document
from quorate.api.registry import NATS_OPERATIONS
from quorate.bus import subjects
from quorate.bus.command_tasks import IN_FLIGHT_PER_AGENT_MAX
from quorate.bus.publishers import NOTIFICATIONS, PUBLISHED
from quorate.bus.subjects import COMMANDS, TO_AGENT, TO_ALL
from quorate.contracts.json_schemas import Json
from quorate.contracts.message_fields import IDEMPOTENCY_FIELD, id_fields
from quorate.contracts.operations import AnyOperation, json_name, known_codes
from quorate.domain.identity.principals import ROLES, Principal, Role
from quorate.domain.registry import (
    EVENT_TYPES,
    NOTIFICATION_NAMES,
    NOTIFYING_EVENTS,
    notifications_of,
)
from quorate.domain.shared.notifications import Notification, ToAgent
from quorate.eventlog.serialization import VERSIONS
from tests.integration.api.schema_reader import (
    KEYWORDS,
    accepts,
    bounds,
    closed,
    parts,
    resolved,
    schemas,
)
from tests.integration.api.schema_reader import validator as document_validator
from tests.support.paths import GOLDEN_EVENTS

DOCUMENT = asyncapi_document()
CHANNELS = DOCUMENT["channels"]
OPERATIONS = DOCUMENT["operations"]
MESSAGES = DOCUMENT["components"]["messages"]
SCHEMAS = DOCUMENT["components"]["schemas"]
GOLDEN = GOLDEN_EVENTS

TENANT = "acme"
AGENT_ID = "agent_019ca9b2-5d00-7c3e-8a41-2f6b9d0e1c57"
KNOWN = {"tenant": TENANT, "agentId": AGENT_ID, "inboxToken": "t0k3n", "eventType": "VoteCast"}
MESSAGE_TYPES = {message.name: message for message in PUBLISHED}
# Over NATS these cannot occur: nats-server checks the key, or the problem is specific to HTTP.
HTTP_ONLY_CODES = {
    *("method_not_allowed", "not_found", "request_timeout", "role_forbidden", "tenant_ambiguous"),
    *("unauthorized", "unsupported_media_type"),
}


def validator(schema: Json) -> Any:  # noqa: ANN401 - has no public type.
    return document_validator(DOCUMENT, schema)


def fill_in(address: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: KNOWN[found[1]], address)


def address(channel: str) -> str:
    return str(CHANNELS[channel]["address"])


def named(endpoint: AnyOperation) -> str:
    return endpoint.name


# -- Document ----------------------------------------------------------------


def test_document_describes_exactly_the_served_operations_and_messages() -> None:
    requests = {name for name, one in OPERATIONS.items() if one["action"] == "receive"}
    assert requests == {endpoint.name for endpoint in NATS_OPERATIONS}
    assert set(OPERATIONS) - requests == set(MESSAGE_TYPES)
    assert set(CHANNELS) == set(OPERATIONS) | {"inbox"}


def test_document_is_plain_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["asyncapi"] == "3.0.0"


def test_order_is_the_same_in_each_run() -> None:
    """FastStream generates from sets, whose order changes."""
    assert list(SCHEMAS) == sorted(SCHEMAS)
    served = [endpoint.name for endpoint in NATS_OPERATIONS]
    published = [message.name for message in PUBLISHED]
    assert list(CHANNELS) == [*served, "inbox", *published]
    assert list(OPERATIONS) == [*served, *published]


def test_every_reference_resolves() -> None:
    refs = [part["$ref"] for part in parts(DOCUMENT) if "$ref" in part]
    assert refs
    for ref in refs:
        assert resolved(DOCUMENT, ref)


def test_every_component_is_referenced() -> None:
    refs = {part["$ref"] for part in parts(DOCUMENT) if "$ref" in part}
    for kind in ("messages", "schemas", "parameters", "securitySchemes"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in refs
    for name, channel in CHANNELS.items():
        for message in channel["messages"]:
            assert f"#/channels/{name}/messages/{message}" in refs


def test_names_match_the_specification() -> None:
    names = [
        *CHANNELS,
        *OPERATIONS,
        *(name for kind in DOCUMENT["components"].values() for name in kind),
    ]
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


def test_every_tag_is_described_and_used() -> None:
    explained = [tag["name"] for tag in DOCUMENT["info"]["tags"]]
    assert len(set(explained)) == len(explained)
    assert set(explained) == {tag["name"] for one in OPERATIONS.values() for tag in one["tags"]}
    assert all(tag["description"] for tag in DOCUMENT["info"]["tags"])


def test_schemas_contain_only_json_schema_keywords() -> None:
    headers = {name: message["headers"] for name, message in MESSAGES.items()}
    for name, schema in (SCHEMAS | headers).items():
        jsonschema_rs.meta.validate(schema)
        for found in schemas(schema):
            assert set(found) <= KEYWORDS, name


# -- Subjects ----------------------------------------------------------------


@pytest.mark.parametrize("name", CHANNELS)
def test_address_contains_exactly_the_described_parameters(name: str) -> None:
    channel = CHANNELS[name]
    assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
    for ref in channel["parameters"].values():
        assert resolved(DOCUMENT, ref["$ref"])["description"]


def test_addresses_match_the_subjects_in_use() -> None:
    for endpoint in NATS_OPERATIONS:
        served = subjects.command(TENANT, AGENT_ID, endpoint.name)
        assert fill_in(address(endpoint.name)) == served
    for message in NOTIFICATIONS:
        published = {
            TO_AGENT: subjects.to_agent(TENANT, AGENT_ID, message.name),
            TO_ALL: subjects.to_all(TENANT, message.name),
        }
        assert fill_in(address(message.name)) == published[message.family]
    assert fill_in(address("log")) == subjects.log(TENANT, "VoteCast")
    assert fill_in(address("inbox")) == f"{subjects.inbox_prefix(agent())}.t0k3n"


def agent(role: Role = "agent") -> Principal:
    agent_id = AGENT_ID if role == "agent" else None
    return Principal(key_id="k1", role=role, tenant=TENANT, agent_id=agent_id, agent_name=None)


@pytest.mark.parametrize("name", OPERATIONS)
def test_roles_match_the_permissions_on_nats(name: str) -> None:
    operation = OPERATIONS[name]
    subject = fill_in(address(name))
    for role in ROLES:
        allowed = subjects.permissions(agent(role))
        if allowed is None:
            patterns: tuple[str, ...] = ()
        elif operation["action"] == "receive":
            patterns = allowed.publish_allow
        else:
            patterns = allowed.subscribe_allow
        is_permitted = any(matches(pattern, subject) for pattern in patterns)
        assert is_permitted == (role in operation["x-quorate-roles"]), role


def matches(pattern: str, subject: str) -> bool:
    form = re.escape(pattern).replace(r"\*", "[^.]+").replace(">", ".+")
    return re.fullmatch(form, subject) is not None


def test_description_names_existing_subjects() -> None:
    named_subjects = re.findall(r"`((?:quorate\.|_INBOX_)[^`]+)`", DOCUMENT["info"]["description"])
    known = {template(one) for one in (TO_AGENT, TO_ALL, COMMANDS)}
    described = {
        one.replace("{operation}", "{name}").replace(">", "{name}") for one in named_subjects
    }
    assert described == known | {"_INBOX_{tenant}_{agentId}"}


def test_description_names_the_enforced_limit() -> None:
    assert f"have {IN_FLIGHT_PER_AGENT_MAX} requests in progress" in DOCUMENT["info"]["description"]


def template(family: subjects.Family) -> str:
    return family.template.replace("{agent_id}", "{agentId}")


# -- Requests ----------------------------------------------------------------


def request_of(endpoint: AnyOperation) -> tuple[Json, Json]:
    """Return the schema of a request and an example."""
    message = MESSAGES[f"{endpoint.name}Request"]
    return resolved(DOCUMENT, message["payload"]["$ref"]), message["examples"][0]["payload"]


@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=named)
def test_request_schema_contains_exactly_the_accepted_fields(endpoint: AnyOperation) -> None:
    schema, _ = request_of(endpoint)
    model = endpoint.body or endpoint.query
    assert model is not None
    fields = {field.alias or name for name, field in model.model_fields.items()}
    key = json_name(endpoint, IDEMPOTENCY_FIELD)
    own = set(id_fields(endpoint).values()) | ({key} if endpoint.command else set())
    assert set(schema["properties"]) == fields | own
    required = {
        field.alias or name for name, field in model.model_fields.items() if field.is_required()
    }
    assert set(schema.get("required", ())) == required | own - {"agentId", "agent_id", key}


@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=named)
def test_request_schema_matches_the_enforced_limits(endpoint: AnyOperation) -> None:
    schema, example = request_of(endpoint)
    check = validator(schema)
    model = endpoint.body or endpoint.query
    assert model is not None
    elsewhere = {*id_fields(endpoint).values(), json_name(endpoint, IDEMPOTENCY_FIELD)}
    body = {name: value for name, value in example.items() if name not in elsewhere}
    for name in set(schema["properties"]) - elsewhere:
        for value, fits in bounds(schema["properties"][name]):
            assert accepts(model, body | {name: value}, strict=True) == fits, (name, value)
            assert check.is_valid(example | {name: value}) == fits, (name, value)
    is_strict = schema.get("additionalProperties") is False
    assert accepts(model, body | {"unknown": 1}, strict=True) != is_strict


@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=named)
def test_only_commands_accept_an_idempotency_key(endpoint: AnyOperation) -> None:
    headers = MESSAGES[f"{endpoint.name}Request"]["headers"]["properties"]
    assert ("Idempotency-Key" in headers) == endpoint.command


# -- Responses and problems --------------------------------------------------


@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=named)
def test_reply_is_a_response_or_a_problem_in_the_inbox(endpoint: AnyOperation) -> None:
    reply = OPERATIONS[endpoint.name]["reply"]
    assert reply["channel"] == {"$ref": "#/channels/inbox"}
    names = [ref["$ref"].rpartition("/")[2] for ref in reply["messages"]]
    assert names == [f"{endpoint.name}Response", f"{endpoint.name}Problem"]


@pytest.mark.parametrize("endpoint", NATS_OPERATIONS, ids=named)
def test_every_possible_problem_is_described(endpoint: AnyOperation) -> None:
    problem = MESSAGES[f"{endpoint.name}Problem"]
    own = [resolved(DOCUMENT, one["$ref"]) for one in problem["payload"]["oneOf"]]
    codes = {one["properties"]["code"]["const"] for one in own}
    assert codes >= known_codes(endpoint) - HTTP_ONLY_CODES
    assert not codes & HTTP_ONLY_CODES
    headers = problem["headers"]["properties"]
    assert set(headers["Nats-Service-Error"]["enum"]) == codes
    statuses = {str(one["properties"]["status"]["const"]) for one in own}
    assert set(headers["Nats-Service-Error-Code"]["enum"]) == statuses
    assert {example["name"] for example in problem["examples"]} >= {
        error.code for error in endpoint.errors
    }


# -- Notifications -----------------------------------------------------------------


def stored_event(type_: str) -> Json:
    """Return a stored event with every field that its notifications contain."""
    data: Json = orjson.loads((GOLDEN / f"{type_}.v{VERSIONS[type_]}.json").read_bytes())
    if "contenders" in {field.name for field in fields(EVENT_TYPES[type_])}:
        return data | {"contenders": [AGENT_ID], "contactEmail": "user@example.com"}
    return data


def all_notifications() -> list[Notification]:
    return [
        notification
        for type_ in sorted(NOTIFYING_EVENTS)
        for notification in notifications_of(type_, stored_event(type_))
    ]


def test_every_published_notification_is_described() -> None:
    assert {message.name for message in NOTIFICATIONS} == NOTIFICATION_NAMES
    assert {notification.name for notification in all_notifications()} == NOTIFICATION_NAMES


@pytest.mark.parametrize("notification", all_notifications(), ids=lambda one: one.name)
def test_notification_matches_its_description(
    notification: Notification,
) -> None:
    message = MESSAGE_TYPES[notification.name]
    assert message.family == (TO_AGENT if isinstance(notification.audience, ToAgent) else TO_ALL)
    schema = closed(copy.deepcopy(SCHEMAS[message.data.__name__]))
    validator(schema).validate(dict(notification.data))


def test_notification_schema_accepts_omitted_data_only_for_its_type() -> None:
    check = validator(MESSAGES["lease_expired"]["payload"])
    event = MESSAGES["lease_expired"]["examples"][0]["payload"]
    assert check.is_valid(event)
    assert check.is_valid(event | {"data": {"omitted": True}})
    assert not check.is_valid(event | {"data": {}})
    assert not check.is_valid(event | {"type": "quorate.lease_revoked"})


# -- Examples ----------------------------------------------------------------


@pytest.mark.parametrize("name", MESSAGES)
def test_message_examples_match_their_schemas(name: str) -> None:
    message = MESSAGES[name]
    assert message["examples"]
    for example in message["examples"]:
        validator(message["payload"]).validate(example["payload"])
        if "headers" in example:
            validator(message["headers"]).validate(example["headers"])


def test_response_headers_differ_from_problem_headers() -> None:
    for endpoint in NATS_OPERATIONS:
        response, problem = (MESSAGES[f"{endpoint.name}{kind}"] for kind in ("Response", "Problem"))
        assert "Nats-Service-Error-Code" in problem["headers"]["required"]
        assert "Nats-Service-Error-Code" not in response["headers"]["properties"]
