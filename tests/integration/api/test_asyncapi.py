"""The document describes what the service really says and takes over NATS: all of it, and truly."""

import copy
import json
import re
from dataclasses import fields
from typing import Any

import jsonschema_rs
import orjson
import pytest

from quorate.api.documents import asyncapi_document
from quorate.api.json_schemas import Json
from quorate.api.nats_commands import NATS_ENDPOINTS, ids_of
from quorate.api.notification_schemas import LOG_EVENTS, NOTIFICATIONS
from quorate.application.operations import Endpoint, known_codes
from quorate.bus import subjects
from quorate.bus.command_dispatch import IN_FLIGHT_PER_AGENT_MAX
from quorate.bus.subjects import COMMANDS, TO_AGENT, TO_ALL
from quorate.domain.events import EVENT_TYPES
from quorate.domain.identity.api_keys import ROLES, Principal, Role
from quorate.domain.notifications import (
    NOTICED_TYPES,
    NOTIFICATION_NAMES,
    Notification,
    ToAgent,
    notifications,
)
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
from tests.integration.api.schema_reader import validator as validator_of
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
SAID = {said.name: said for said in (*NOTIFICATIONS, LOG_EVENTS)}
# Of these an agent's key is asked before there is an operation, or the server refuses in our place.
OF_HTTP = {
    *("method_not_allowed", "not_found", "request_timeout", "role_forbidden", "tenant_ambiguous"),
    *("unauthorized", "unsupported_media_type"),
}


def valid(schema: Json) -> Any:  # noqa: ANN401 - has no public type.
    return validator_of(DOCUMENT, schema)


def filled_in(address: str) -> str:
    return re.sub(r"{(\w+)}", lambda found: KNOWN[found[1]], address)


def address(channel: str) -> str:
    return str(CHANNELS[channel]["address"])


def named(endpoint: Endpoint) -> str:
    return endpoint.name


# -- The whole ---------------------------------------------------------------


def test_it_describes_what_is_served_and_what_is_said_and_nothing_else() -> None:
    asked = {name for name, one in OPERATIONS.items() if one["action"] == "receive"}
    assert asked == {endpoint.name for endpoint in NATS_ENDPOINTS}
    assert set(OPERATIONS) - asked == set(SAID)
    assert set(CHANNELS) == set(OPERATIONS) | {"inbox"}


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert DOCUMENT["asyncapi"] == "3.0.0"


def test_every_reference_leads_somewhere() -> None:
    refs = [part["$ref"] for part in parts(DOCUMENT) if "$ref" in part]
    assert refs
    for ref in refs:
        assert resolved(DOCUMENT, ref)


def test_nothing_is_described_that_nobody_refers_to() -> None:
    refs = {part["$ref"] for part in parts(DOCUMENT) if "$ref" in part}
    for kind in ("messages", "schemas", "parameters", "securitySchemes"):
        for name in DOCUMENT["components"][kind]:
            assert f"#/components/{kind}/{name}" in refs
    for name, channel in CHANNELS.items():
        for message in channel["messages"]:
            assert f"#/channels/{name}/messages/{message}" in refs


def test_names_are_such_as_the_specification_allows() -> None:
    names = [
        *CHANNELS,
        *OPERATIONS,
        *(name for kind in DOCUMENT["components"].values() for name in kind),
    ]
    assert all(re.fullmatch(r"[\w.-]+", name) for name in names)


def test_every_tag_is_explained_and_used() -> None:
    explained = [tag["name"] for tag in DOCUMENT["info"]["tags"]]
    assert len(set(explained)) == len(explained)
    assert set(explained) == {tag["name"] for one in OPERATIONS.values() for tag in one["tags"]}
    assert all(tag["description"] for tag in DOCUMENT["info"]["tags"])


def test_schemas_speak_json_schema_only() -> None:
    headers = {name: message["headers"] for name, message in MESSAGES.items()}
    for name, schema in (SCHEMAS | headers).items():
        jsonschema_rs.meta.validate(schema)
        for found in schemas(schema):
            assert set(found) <= KEYWORDS, name


# -- Subjects ----------------------------------------------------------------


@pytest.mark.parametrize("name", CHANNELS)
def test_an_address_has_the_parameters_that_are_explained(name: str) -> None:
    channel = CHANNELS[name]
    assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel["parameters"])
    for ref in channel["parameters"].values():
        assert resolved(DOCUMENT, ref["$ref"])["description"]


def test_the_addresses_are_those_that_are_served_and_spoken_on() -> None:
    for endpoint in NATS_ENDPOINTS:
        served = subjects.command(TENANT, AGENT_ID, endpoint.name)
        assert filled_in(address(endpoint.name)) == served
    for said in NOTIFICATIONS:
        spoken = {
            TO_AGENT: subjects.to_agent(TENANT, AGENT_ID, said.name),
            TO_ALL: subjects.to_all(TENANT, said.name),
        }
        assert filled_in(address(said.name)) == spoken[said.family]
    assert filled_in(address("log")) == subjects.log(TENANT, "VoteCast")
    assert filled_in(address("inbox")) == f"{subjects.inbox_prefix(agent())}.t0k3n"


def agent(role: Role = "agent") -> Principal:
    agent_id = AGENT_ID if role == "agent" else None
    return Principal(key_id="k1", role=role, tenant=TENANT, agent_id=agent_id, agent_name=None)


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_says_whose_keys_the_server_lets_in(name: str) -> None:
    operation = OPERATIONS[name]
    subject = filled_in(address(name))
    for role in ROLES:
        allowed = subjects.permissions(agent(role))
        if allowed is None:
            patterns: tuple[str, ...] = ()
        elif operation["action"] == "receive":
            patterns = allowed.publish_allow
        else:
            patterns = allowed.subscribe_allow
        lets_in = any(matches(pattern, subject) for pattern in patterns)
        assert lets_in == (role in operation["x-quorate-roles"]), role


def matches(pattern: str, subject: str) -> bool:
    form = re.escape(pattern).replace(r"\*", "[^.]+").replace(">", ".+")
    return re.fullmatch(form, subject) is not None


def test_its_words_name_subjects_that_are_there() -> None:
    told = re.findall(r"`((?:quorate\.|_INBOX_)[^`]+)`", DOCUMENT["info"]["description"])
    known = {template(one) for one in (TO_AGENT, TO_ALL, COMMANDS)}
    assert {one.replace("{operation}", "{name}").replace(">", "{name}") for one in told} == (
        known | {"_INBOX_{tenant}_{agentId}"}
    )


def test_its_words_name_the_limit_that_is_kept() -> None:
    assert f"have {IN_FLIGHT_PER_AGENT_MAX} requests under way" in DOCUMENT["info"]["description"]


def template(family: subjects.Family) -> str:
    return family.template.replace("{agent_id}", "{agentId}")


# -- Requests ----------------------------------------------------------------


def request_of(endpoint: Endpoint) -> tuple[Json, Json]:
    """The schema of a request, and an example of one."""
    message = MESSAGES[f"{endpoint.name}Request"]
    return resolved(DOCUMENT, message["payload"]["$ref"]), message["examples"][0]["payload"]


@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=named)
def test_a_request_has_every_field_that_is_taken_and_no_other(endpoint: Endpoint) -> None:
    schema, _ = request_of(endpoint)
    model = endpoint.body or endpoint.query
    assert model is not None
    fields = {field.alias or name for name, field in model.model_fields.items()}
    own = set(ids_of(endpoint).values()) | ({"idempotencyKey"} if endpoint.command else set())
    assert set(schema["properties"]) == fields | own
    required = {
        field.alias or name for name, field in model.model_fields.items() if field.is_required()
    }
    assert set(schema.get("required", ())) == required | own - {"agentId", "idempotencyKey"}


@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=named)
def test_the_bounds_of_a_request_are_those_enforced(endpoint: Endpoint) -> None:
    schema, example = request_of(endpoint)
    check = valid(schema)
    model = endpoint.body or endpoint.query
    assert model is not None
    elsewhere = {*ids_of(endpoint).values(), "idempotencyKey"}
    body = {name: value for name, value in example.items() if name not in elsewhere}
    for name in set(schema["properties"]) - elsewhere:
        for value, fits in bounds(schema["properties"][name]):
            assert accepts(model, body | {name: value}, strict=True) == fits, (name, value)
            assert check.is_valid(example | {name: value}) == fits, (name, value)
    is_strict = schema.get("additionalProperties") is False
    assert accepts(model, body | {"unknown": 1}, strict=True) != is_strict


@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=named)
def test_commands_and_only_commands_take_an_idempotency_key(endpoint: Endpoint) -> None:
    headers = MESSAGES[f"{endpoint.name}Request"]["headers"]["properties"]
    assert ("Idempotency-Key" in headers) == endpoint.command


# -- Answers and problems ----------------------------------------------------


@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=named)
def test_an_answer_or_a_problem_arrives_in_the_inbox(endpoint: Endpoint) -> None:
    reply = OPERATIONS[endpoint.name]["reply"]
    assert reply["channel"] == {"$ref": "#/channels/inbox"}
    names = [ref["$ref"].rpartition("/")[2] for ref in reply["messages"]]
    assert names == [f"{endpoint.name}Response", f"{endpoint.name}Problem"]


@pytest.mark.parametrize("endpoint", NATS_ENDPOINTS, ids=named)
def test_every_problem_that_can_be_met_is_described(endpoint: Endpoint) -> None:
    problem = MESSAGES[f"{endpoint.name}Problem"]
    own = [resolved(DOCUMENT, one["$ref"])["allOf"][1] for one in problem["payload"]["oneOf"]]
    codes = {one["properties"]["code"]["const"] for one in own}
    assert codes >= known_codes(endpoint) - OF_HTTP
    assert not codes & OF_HTTP
    headers = problem["headers"]["properties"]
    assert set(headers["Nats-Service-Error"]["enum"]) == codes
    statuses = {str(one["properties"]["status"]["const"]) for one in own}
    assert set(headers["Nats-Service-Error-Code"]["enum"]) == statuses
    assert {example["name"] for example in problem["examples"]} >= set(endpoint.problems)


# -- Notifications -----------------------------------------------------------------


def stored(type_: str) -> Json:
    """An event as it is stored, with every field that matters to what is said of it."""
    data: Json = orjson.loads((GOLDEN / f"{type_}.v{VERSIONS[type_]}.json").read_bytes())
    if "contenders" in {field.name for field in fields(EVENT_TYPES[type_])}:
        return data | {"contenders": [AGENT_ID], "contactEmail": "user@example.com"}
    return data


def said_of_all() -> list[Notification]:
    return [
        notification
        for type_ in sorted(NOTICED_TYPES)
        for notification in notifications(type_, stored(type_))
    ]


def test_every_notification_that_is_said_is_described() -> None:
    assert {said.name for said in NOTIFICATIONS} == NOTIFICATION_NAMES
    assert {notification.name for notification in said_of_all()} == NOTIFICATION_NAMES


@pytest.mark.parametrize("notification", said_of_all(), ids=lambda notification: notification.name)
def test_a_notification_goes_where_it_is_said_to_go_and_has_those_facts(
    notification: Notification,
) -> None:
    said = SAID[notification.name]
    assert said.family == (TO_AGENT if isinstance(notification.audience, ToAgent) else TO_ALL)
    schema = closed(copy.deepcopy(SCHEMAS[said.data.__name__]))
    valid(schema).validate(dict(notification.facts))


def test_a_notification_may_be_left_out_but_not_be_another() -> None:
    check = valid(MESSAGES["lease_expired"]["payload"])
    event = MESSAGES["lease_expired"]["examples"][0]["payload"]
    assert check.is_valid(event)
    assert check.is_valid(event | {"data": {"omitted": True}})
    assert not check.is_valid(event | {"data": {}})
    assert not check.is_valid(event | {"type": "quorate.lease_revoked"})


# -- Examples ----------------------------------------------------------------


@pytest.mark.parametrize("name", MESSAGES)
def test_the_examples_of_a_message_are_such_messages(name: str) -> None:
    message = MESSAGES[name]
    assert message["examples"]
    for example in message["examples"]:
        valid(message["payload"]).validate(example["payload"])
        if "headers" in example:
            valid(message["headers"]).validate(example["headers"])


def test_no_answer_can_be_taken_for_a_problem() -> None:
    for endpoint in NATS_ENDPOINTS:
        answer, problem = (MESSAGES[f"{endpoint.name}{kind}"] for kind in (("Response", "Problem")))
        assert "Nats-Service-Error-Code" in problem["headers"]["required"]
        assert "Nats-Service-Error-Code" not in answer["headers"]["properties"]
