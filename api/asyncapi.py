"""Generate the AsyncAPI 3 document: the operations and notifications over NATS.

* The document is generated from the registries that the service uses: the endpoints that are
  available over NATS, the subjects and the notifications.
* With this document alone, a client in any language can register, acquire leases and receive
  conflicts. A test verifies this.
* Only descriptions and examples are written by hand.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

import quorate
from quorate.api import asyncapi_schemas as schemas
from quorate.api.asyncapi_descriptions import DESCRIPTION, PARAMETERS, SERVER
from quorate.api.json_schemas import Json
from quorate.api.notification_schemas import LOG_EVENTS, NOTIFICATIONS, PublishedMessage
from quorate.application.operations import HANDLERS
from quorate.bus.subjects import COMMANDS, INBOX, Family
from quorate.contracts.operations import AnyOperation

ASYNCAPI_VERSION = "3.0.0"
JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json"
INBOX_CHANNEL = "inbox"
NOTIFICATIONS_TAG = "notifications"
LOG_TAG = "log"
_PARAMETER = re.compile(r"{(\w+)}")


def document(endpoints: Sequence[AnyOperation]) -> Json:
    refs, definitions = schemas.definitions(endpoints)
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Quorate",
            "version": quorate.__version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
            "tags": list(_tags(endpoints)),
        },
        "defaultContentType": JSON,
        "servers": {"nats": SERVER},
        "channels": _channels(endpoints),
        "operations": _operations(endpoints),
        "components": {
            "messages": _messages(endpoints, refs),
            "schemas": definitions,
            "parameters": PARAMETERS,
            "securitySchemes": {"apiKey": _API_KEY},
        },
    }


_API_KEY: Json = {
    "type": "apiKey",
    "in": "user",
    "description": "API key as the connection's token: `auth_token`, or the user in the URL.",
}


def _pointer(*path: str) -> Json:
    return {"$ref": "/".join(("#", *path))}


# -- Tags --------------------------------------------------------------------


def _tags(endpoints: Sequence[AnyOperation]) -> Iterator[Json]:
    """Yield one tag per module, as in the OpenAPI document, then the tags of publications."""
    descriptions: dict[str, str] = {}
    for module in dict.fromkeys(HANDLERS[endpoint.name].__module__ for endpoint in endpoints):
        text = sys.modules[module].__doc__ or ""
        descriptions[_tag_of(module)] = " ".join(text.split("\n\n")[0].split())
    descriptions.setdefault(NOTIFICATIONS_TAG, "Notifications that the service publishes.")
    descriptions[LOG_TAG] = "Events of the tenant's log, published after each commit."
    for name, description in descriptions.items():
        yield {"name": name, "description": description}


def _tag_of(module: str) -> str:
    return module.rpartition(".")[2]


# -- Channels ----------------------------------------------------------------


def _channels(endpoints: Sequence[AnyOperation]) -> Json:
    channels = {
        one.name: _channel(COMMANDS, one.name, [f"{one.name}Request"], one.summary)
        for one in endpoints
    }
    responses = [f"{one.name}{kind}" for one in endpoints for kind in ("Response", "Problem")]
    channels[INBOX_CHANNEL] = _channel(INBOX, "{inboxToken}", responses, "Where responses arrive")
    for message in NOTIFICATIONS:
        channels[message.name] = _channel(
            message.family, message.name, [message.name], message.summary
        )
    channels[LOG_EVENTS.name] = _channel(
        LOG_EVENTS.family, "{eventType}", [LOG_EVENTS.name], LOG_EVENTS.summary
    )
    return channels


def _channel(family: Family, name: str, messages: Iterable[str], summary: str) -> Json:
    address = address_of(family, name)
    return {
        "address": address,
        "summary": summary,
        "servers": [_pointer("servers", "nats")],
        "parameters": {
            one: _pointer("components", "parameters", one) for one in _PARAMETER.findall(address)
        },
        "messages": {one: _pointer("components", "messages", one) for one in messages},
    }


def address_of(family: Family, name: str) -> str:
    """Return a subject template with the parameter names of the document."""
    return family.template.format(
        tenant="{tenant}", agent_id="{agentId}", reader="{agentId}", name=name
    )


# -- Operations --------------------------------------------------------------


def _operations(endpoints: Sequence[AnyOperation]) -> Json:
    operations = {one.name: _request_operation(one) for one in endpoints}
    for message in (*NOTIFICATIONS, LOG_EVENTS):
        operations[message.name] = _publish_operation(message)
    return operations


def _request_operation(endpoint: AnyOperation) -> Json:
    inbox = [f"{endpoint.name}{kind}" for kind in ("Response", "Problem")]
    description = {"description": endpoint.description} if endpoint.description else {}
    return {
        "action": "receive",
        "channel": _pointer("channels", endpoint.name),
        "summary": endpoint.summary,
        **description,
        "tags": [{"name": _tag_of(HANDLERS[endpoint.name].__module__)}],
        "messages": [_pointer("channels", endpoint.name, "messages", f"{endpoint.name}Request")],
        "reply": {
            "channel": _pointer("channels", INBOX_CHANNEL),
            "messages": [_pointer("channels", INBOX_CHANNEL, "messages", one) for one in inbox],
        },
        "x-quorate-roles": sorted(COMMANDS.published_by),
    }


def _publish_operation(message: PublishedMessage) -> Json:
    description = {"description": message.description} if message.description else {}
    return {
        "action": "send",
        "channel": _pointer("channels", message.name),
        "summary": message.summary,
        **description,
        "tags": [{"name": LOG_TAG if message is LOG_EVENTS else NOTIFICATIONS_TAG}],
        "messages": [_pointer("channels", message.name, "messages", message.name)],
        "x-quorate-roles": sorted(message.family.subscribed_by),
    }


# -- Messages ----------------------------------------------------------------


def _messages(endpoints: Sequence[AnyOperation], refs: Mapping[str, Json]) -> Json:
    messages: Json = {}
    for one in endpoints:
        messages[f"{one.name}Request"] = _message(
            schemas.request_headers(one), schemas.request(one), schemas.request_example(one)
        )
        messages[f"{one.name}Response"] = _message(
            schemas.response_headers(one), refs[one.name], *schemas.response_examples(one)
        )
        messages[f"{one.name}Problem"] = _message(
            schemas.problem_headers(one), schemas.problem(one), *schemas.problem_examples(one)
        )
    for message in (*NOTIFICATIONS, LOG_EVENTS):
        example = schemas.published_example(message)
        messages[message.name] = _message(
            schemas.PUBLISHED_HEADERS, schemas.published_ref(message), example
        ) | {"contentType": CLOUD_EVENT}
    return {name: {"name": name, **message} for name, message in messages.items()}


def _message(headers: Json, payload: Json, *examples: Json) -> Json:
    message: Json = {"headers": headers, "payload": payload}
    if examples:
        message["examples"] = list(examples)
    return message
