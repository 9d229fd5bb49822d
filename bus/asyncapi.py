"""The AsyncAPI 3 document: the operations and notifications over NATS.

* FastStream generates channels, operations and payload schemas from the declarations that serve the
  commands (bus/subscribers.py, bus/publishers.py), on a broker that is never started.
* FastStream 0.7.8 does not write replies, address parameters, headers, examples, tags or summaries.
  This module adds them. It also removes what the service does not send (the correlation header),
  and what concerns its own side only (queue groups).
* With this document alone, a client in any language can register, acquire leases and receive
  conflicts. A test verifies this.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from faststream.nats import NatsBroker
from faststream.specification import AsyncAPI

import quorate
from quorate.application.operations import describe_topics, topic_of
from quorate.bus import asyncapi_schemas as schemas
from quorate.bus.asyncapi_descriptions import DESCRIPTION, PARAMETERS, SERVER
from quorate.bus.publishers import LOG_NAME, PUBLISHED, PublishedMessage, add_publishers
from quorate.bus.subjects import COMMANDS, INBOX
from quorate.bus.subscribers import describe
from quorate.contracts.json_schemas import Json, ref, simplify
from quorate.contracts.operations import AnyOperation

CLOUD_EVENT = "application/cloudevents+json"
INBOX_CHANNEL = "inbox"
NOTIFICATIONS_TAG = "notifications"
_PARAMETER = re.compile(r"{(\w+)}")
# The names of the parameters in the document; other clients know the ids by these names.
_PARAMETER_NAMES = {
    "agent_id": "agentId",
    "sender_id": "agentId",
    "reader": "agentId",
    "name": "inboxToken",
    "event_type": "eventType",
}
_API_KEY: Json = {
    "type": "apiKey",
    "in": "user",
    "description": "API key as the connection's token: `auth_token`, or the user in the URL.",
}


def asyncapi_document(endpoints: Sequence[AnyOperation]) -> Json:
    declared = declarations(endpoints)
    refs, definitions = schemas.response_schemas(endpoints)
    shared = simplify(declared["components"]["schemas"]) | definitions
    return {
        "asyncapi": declared["asyncapi"],
        "info": {
            **declared["info"],
            "license": {"name": "Apache-2.0"},
            "tags": _tags(endpoints),
        },
        "defaultContentType": declared["defaultContentType"],
        "servers": {"nats": SERVER},
        "channels": _channels(endpoints, declared),
        "operations": _operations(endpoints, declared),
        "components": {
            "messages": _messages(endpoints, refs, declared),
            "schemas": dict(sorted(shared.items())),  # FastStream's order changes with each run.
            "parameters": PARAMETERS,
            "securitySchemes": {"apiKey": _API_KEY},
        },
    }


def described_broker(endpoints: Sequence[AnyOperation]) -> NatsBroker:
    """Return a broker that declares all operations and publications. It is never started."""
    broker = NatsBroker()
    for endpoint in endpoints:
        describe(broker, endpoint)
    add_publishers(broker)
    return broker


def declarations(endpoints: Sequence[AnyOperation]) -> Json:
    """Return the document as FastStream generates it."""
    specification = AsyncAPI(
        described_broker(endpoints),
        title="Quorate",
        version=quorate.__version__,
        description=DESCRIPTION,
        schema_version="3.0.0",
    )
    document: Json = specification.to_specification().to_jsonable()
    return document


def _pointer(*path: str) -> Json:
    return {"$ref": "/".join(("#", *path))}


# -- Tags --------------------------------------------------------------------


def _tags(endpoints: Sequence[AnyOperation]) -> Sequence[Json]:
    """Return one tag per topic, as in the OpenAPI document, then the tags of publications."""
    descriptions = describe_topics(endpoints)
    descriptions.setdefault(NOTIFICATIONS_TAG, "Notifications that the service publishes.")
    descriptions[LOG_NAME] = "Events of the tenant's log, published after each commit."
    return [{"name": name, "description": text} for name, text in descriptions.items()]


# -- Channels ----------------------------------------------------------------


def _channels(endpoints: Sequence[AnyOperation], declared: Json) -> Json:
    summaries = {one.name: one.summary for one in endpoints}
    summaries |= {one.name: one.summary for one in PUBLISHED}
    names = {one.name: f"{one.name}Request" for one in endpoints}
    channels = {
        name: _channel(found["address"], [names.get(name, name)], summaries[name])
        for name, found in declared["channels"].items()
    }
    responses = [f"{one.name}{kind}" for one in endpoints for kind in ("Response", "Problem")]
    return {
        **{one.name: channels[one.name] for one in endpoints},
        INBOX_CHANNEL: _channel(INBOX.template, responses, "Where responses arrive"),
        **{one.name: channels[one.name] for one in PUBLISHED},
    }


def _channel(template: str, messages: Sequence[str], summary: str) -> Json:
    address = _PARAMETER.sub(
        lambda found: f"{{{_PARAMETER_NAMES.get(found[1], found[1])}}}", template
    )
    return {
        "address": address,
        "summary": summary,
        "servers": [_pointer("servers", "nats")],
        "parameters": {
            one: _pointer("components", "parameters", one) for one in _PARAMETER.findall(address)
        },
        "messages": {one: _pointer("components", "messages", one) for one in messages},
    }


# -- Operations --------------------------------------------------------------


def _operations(endpoints: Sequence[AnyOperation], declared: Json) -> Json:
    found = declared["operations"]
    operations = {one.name: _request_operation(one, found[one.name]) for one in endpoints}
    for message in PUBLISHED:
        operations[message.name] = _publish_operation(message, found[message.name])
    return operations


def _request_operation(endpoint: AnyOperation, declared: Json) -> Json:
    inbox = [f"{endpoint.name}{kind}" for kind in ("Response", "Problem")]
    return {
        "action": declared["action"],
        "channel": declared["channel"],
        **_texts(endpoint),
        "tags": [{"name": topic_of(endpoint)}],
        "messages": [_pointer("channels", endpoint.name, "messages", f"{endpoint.name}Request")],
        "reply": {
            "channel": _pointer("channels", INBOX_CHANNEL),
            "messages": [_pointer("channels", INBOX_CHANNEL, "messages", one) for one in inbox],
        },
        "x-quorate-roles": sorted(COMMANDS.published_by),
    }


def _publish_operation(message: PublishedMessage, declared: Json) -> Json:
    return {
        "action": declared["action"],
        "channel": declared["channel"],
        **_texts(message),
        "tags": [{"name": LOG_NAME if message.name == LOG_NAME else NOTIFICATIONS_TAG}],
        "messages": [_pointer("channels", message.name, "messages", message.name)],
        "x-quorate-roles": sorted(message.family.subscribed_by),
    }


def _texts(described: AnyOperation | PublishedMessage) -> Json:
    texts = {"summary": described.summary}
    return texts | {"description": described.description} if described.description else texts


# -- Messages ----------------------------------------------------------------


def _messages(endpoints: Sequence[AnyOperation], refs: Mapping[str, Json], declared: Json) -> Json:
    messages: Json = {}
    for one in endpoints:
        messages[f"{one.name}Request"] = _message(
            schemas.request_headers(one), _payload(one.name, declared), schemas.request_example(one)
        )
        messages[f"{one.name}Response"] = _message(
            schemas.response_headers(one), refs[one.name], *schemas.response_examples(one)
        )
        messages[f"{one.name}Problem"] = _message(
            schemas.problem_headers(one), schemas.problem(one), *schemas.problem_examples(one)
        )
    for message in PUBLISHED:
        example = schemas.published_example(message)
        messages[message.name] = _message(
            schemas.PUBLISHED_HEADERS, _payload(message.name, declared), example
        ) | {"contentType": CLOUD_EVENT}
    return {name: {"name": name, **message} for name, message in messages.items()}


def _payload(channel: str, declared: Json) -> Json:
    """Return the payload that FastStream generated for the one message of a channel."""
    [found] = declared["channels"][channel]["messages"].values()
    name = found["$ref"].rpartition("/")[2]
    payload: Json = declared["components"]["messages"][name]["payload"]
    return ref(payload["$ref"].rpartition("/")[2])


def _message(headers: Json, payload: Any, *examples: Json) -> Json:  # noqa: ANN401 - a schema.
    message: Json = {"headers": headers, "payload": payload}
    if examples:
        message["examples"] = list(examples)
    return message
