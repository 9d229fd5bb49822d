"""The AsyncAPI 3 document: what can be asked over NATS, and what is said there.

It is made from the tables that the service itself works by: the endpoints that are served over
NATS, the subjects, the notifications. With this document alone a stranger can register, lease and hear
of conflicts in any language. Only prose and examples are written here.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

import quorate
from quorate.api import asyncapi_schemas as schemas
from quorate.api.asyncapi_descriptions import DESCRIPTION, PARAMETERS, SERVER
from quorate.api.json_schemas import Json
from quorate.api.notification_schemas import LOGGED, NOTIFICATIONS, Said
from quorate.application.operations import Endpoint
from quorate.bus.subjects import COMMANDS, INBOX, Family

ASYNCAPI_VERSION = "3.0.0"
JSON = "application/json"
CLOUD_EVENT = "application/cloudevents+json"
INBOX_CHANNEL = "inbox"
NOTIFICATIONS_TAG = "notifications"
LOG_TAG = "log"
_PARAMETER = re.compile(r"{(\w+)}")


def document(served: Sequence[Endpoint]) -> Json:
    refs, definitions = schemas.definitions(served)
    return {
        "asyncapi": ASYNCAPI_VERSION,
        "info": {
            "title": "Quorate",
            "version": quorate.__version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0"},
            "tags": list(_tags(served)),
        },
        "defaultContentType": JSON,
        "servers": {"nats": SERVER},
        "channels": _channels(served),
        "operations": _operations(served),
        "components": {
            "messages": _messages(served, refs),
            "schemas": definitions,
            "parameters": PARAMETERS,
            "securitySchemes": {"apiKey": _API_KEY},
        },
    }


_API_KEY: Json = {
    "type": "apiKey",
    "in": "user",
    "description": "Your API key as the connection's token: `auth_token`, or the user in the URL.",
}


def _to(*path: str) -> Json:
    return {"$ref": "/".join(("#", *path))}


# -- Tags --------------------------------------------------------------------


def _tags(served: Sequence[Endpoint]) -> Iterator[Json]:
    """As in the OpenAPI document, one for each module; what is said unasked comes last."""
    told: dict[str, str] = {}
    for module in dict.fromkeys(endpoint.handler.__module__ for endpoint in served):
        text = sys.modules[module].__doc__ or ""
        told[_tag_of(module)] = " ".join(text.split("\n\n")[0].split())
    told.setdefault(NOTIFICATIONS_TAG, "What agents are told of, as it happens.")
    told[LOG_TAG] = "The whole log, as it grows."
    for name, description in told.items():
        yield {"name": name, "description": description}


def _tag_of(module: str) -> str:
    return module.rpartition(".")[2]


# -- Channels ----------------------------------------------------------------


def _channels(served: Sequence[Endpoint]) -> Json:
    channels = {
        one.name: _channel(COMMANDS, one.name, [f"{one.name}Request"], one.summary)
        for one in served
    }
    answers = [f"{one.name}{kind}" for one in served for kind in ("Answer", "Problem")]
    channels[INBOX_CHANNEL] = _channel(INBOX, "{inboxToken}", answers, "Where answers arrive")
    for said in NOTIFICATIONS:
        channels[said.name] = _channel(said.to, said.name, [said.name], said.summary)
    channels[LOGGED.name] = _channel(LOGGED.to, "{eventType}", [LOGGED.name], LOGGED.summary)
    return channels


def _channel(family: Family, name: str, messages: Iterable[str], summary: str) -> Json:
    address = address_of(family, name)
    return {
        "address": address,
        "summary": summary,
        "servers": [_to("servers", "nats")],
        "parameters": {
            one: _to("components", "parameters", one) for one in _PARAMETER.findall(address)
        },
        "messages": {one: _to("components", "messages", one) for one in messages},
    }


def address_of(family: Family, name: str) -> str:
    """A subject with its parameters as callers know them."""
    return family.template.format(
        tenant="{tenant}", agent_id="{agentId}", reader="{agentId}", name=name
    )


# -- Operations --------------------------------------------------------------


def _operations(served: Sequence[Endpoint]) -> Json:
    operations = {one.name: _asked(one) for one in served}
    for said in (*NOTIFICATIONS, LOGGED):
        operations[said.name] = _said(said)
    return operations


def _asked(endpoint: Endpoint) -> Json:
    inbox = [f"{endpoint.name}{kind}" for kind in ("Answer", "Problem")]
    return {
        "action": "receive",
        "channel": _to("channels", endpoint.name),
        "summary": endpoint.summary,
        "tags": [{"name": _tag_of(endpoint.handler.__module__)}],
        "messages": [_to("channels", endpoint.name, "messages", f"{endpoint.name}Request")],
        "reply": {
            "channel": _to("channels", INBOX_CHANNEL),
            "messages": [_to("channels", INBOX_CHANNEL, "messages", one) for one in inbox],
        },
        "x-quorate-roles": sorted(COMMANDS.said_by),
    }


def _said(said: Said) -> Json:
    return {
        "action": "send",
        "channel": _to("channels", said.name),
        "summary": said.summary,
        "tags": [{"name": LOG_TAG if said is LOGGED else NOTIFICATIONS_TAG}],
        "messages": [_to("channels", said.name, "messages", said.name)],
        "x-quorate-roles": sorted(said.to.read_by),
    }


# -- Messages ----------------------------------------------------------------


def _messages(served: Sequence[Endpoint], refs: Mapping[str, Json]) -> Json:
    messages: Json = {}
    for one in served:
        messages[f"{one.name}Request"] = _message(
            schemas.request_headers(one), schemas.request(one), schemas.asked_example(one)
        )
        messages[f"{one.name}Answer"] = _message(
            schemas.answer_headers(one), refs[one.name], *schemas.answer_examples(one)
        )
        messages[f"{one.name}Problem"] = _message(
            schemas.problem_headers(one), schemas.problem(one), *schemas.problem_examples(one)
        )
    for said in (*NOTIFICATIONS, LOGGED):
        example = schemas.said_example(said)
        messages[said.name] = _message(schemas.SAID_HEADERS, schemas.said_ref(said), example) | {
            "contentType": CLOUD_EVENT
        }
    return {name: {"name": name, **message} for name, message in messages.items()}


def _message(headers: Json, payload: Json, *examples: Json) -> Json:
    message: Json = {"headers": headers, "payload": payload}
    if examples:
        message["examples"] = list(examples)
    return message
