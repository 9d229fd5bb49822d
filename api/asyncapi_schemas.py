"""The schemas, headers and examples of the messages in the AsyncAPI document.

A request is one JSON object: the fields that HTTP takes as body, as query and in the path, because
over NATS they all come by one way. Answers and problems are those of HTTP.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from pydantic.alias_generators import to_pascal

from quorate.api.json_schemas import Json, Mode, described, plain, ref
from quorate.api.nats_commands import (
    ERROR_CODE_HEADER,
    ERROR_STATUS_HEADER,
    IDEMPOTENCY_FIELD,
    IDEMPOTENCY_HEADER,
    ITSELF,
    REQUEST_ID_HEADER,
    SEQUENCE_HEADER,
    ids_of,
)
from quorate.api.notification_schemas import LOGGED, NOTIFICATIONS, Omitted, Said
from quorate.api.openapi import IDEMPOTENCY_KEY
from quorate.api.problem_schemas import problem_schemas, schema_name
from quorate.application.operations import Endpoint, known_codes
from quorate.contracts.examples import (
    ANSWERS,
    BODIES,
    FACTS,
    LOG_ENTRY,
    NAMED,
    PROBLEM_FACTS,
    QUERIES,
    cloud_event,
)
from quorate.contracts.problems import KINDS, problem_body
from quorate.contracts.requests import PageQuery
from quorate.contracts.responses import NotificationAnswer
from quorate.domain.events import EVENT_TYPES

# These can't be met where the server checks the key and the subject says who asks for what.
_HTTP_ONLY = {
    "method_not_allowed",
    "not_found",
    "request_timeout",
    "role_forbidden",
    "tenant_ambiguous",
    "unauthorized",
    "unsupported_media_type",
}
# These can be met whatever is asked: there always is an agent that asks, by a message.
_EVER = {"agent_not_found", "body_too_large", "invalid_request", "malformed_request"}
# What may be left out, the examples leave out.
_ONESELF = {"tenantId", "agentId", "agentName", "proposerAgent"}

# -- Definitions -------------------------------------------------------------


def definitions(served: Sequence[Endpoint]) -> tuple[dict[str, Json], Json]:
    """The schema of each endpoint's answer by its name, and all that have a name of their own."""
    types: dict[str, tuple[Mode, Any]] = {one.name: ("serialization", one.answer) for one in served}
    facts = {said.facts.__name__: said.facts for said in (*NOTIFICATIONS, LOGGED)}
    for type_ in (*facts.values(), NotificationAnswer, Omitted):
        types[type_.__name__] = ("serialization", type_)
    refs, shared = described(types)
    codes = {code for one in served for code in _codes(one)}
    own = {_request_name(one): _request(one) for one in served}
    said = {_said_name(one): _envelope(one) for one in (*NOTIFICATIONS, LOGGED)}
    return refs, own | shared | said | problem_schemas(codes)


# -- Requests ----------------------------------------------------------------


def request(endpoint: Endpoint) -> Json:
    return ref(_request_name(endpoint))


def _request_name(endpoint: Endpoint) -> str:
    return f"{endpoint.name[0].upper()}{endpoint.name[1:]}Request"


def _request(endpoint: Endpoint) -> Json:
    properties: Json = {}
    required: list[str] = []
    open_ended = False
    for name, field in ids_of(endpoint).items():
        properties[field] = {"type": "string", "description": _id_told(name)}
        if name != ITSELF:
            required.append(field)
    model = endpoint.body or endpoint.query
    if model is not None:
        taken = plain(model.model_json_schema(by_alias=True))
        properties |= taken["properties"]
        required += taken.get("required", ())
        open_ended = taken.get("additionalProperties", True)
    if endpoint.command:
        properties[IDEMPOTENCY_FIELD] = _idempotency_key("As the header of that name.")
    schema = {"type": "object", "description": f"{endpoint.summary}.", "properties": properties}
    if required:
        schema["required"] = required
    return schema if open_ended else schema | {"additionalProperties": False}


def _id_told(name: str) -> str:
    told = f"The {name.removesuffix('_id')}'s id."
    return f"{told} Your own if it is left out." if name == ITSELF else told


def _idempotency_key(description: str) -> Json:
    return {**IDEMPOTENCY_KEY["schema"], "description": description}


def request_headers(endpoint: Endpoint) -> Json:
    properties: Json = {REQUEST_ID_HEADER: _REQUEST_ID}
    if endpoint.command:
        told = _idempotency_key(IDEMPOTENCY_KEY["description"])
        properties = {IDEMPOTENCY_HEADER: told, **properties}
    return _headers(properties)


_REQUEST_ID: Json = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_-]{1,64}$",
    "description": "Names the request in our log, and in a problem.",
}


def asked_example(endpoint: Endpoint) -> Json:
    """What an agent sends that asks for itself."""
    taken = BODIES.get(endpoint.name) or QUERIES.get(endpoint.name, {})
    ids = {field: NAMED[field] for name, field in ids_of(endpoint).items() if name != ITSELF}
    fields = {name: value for name, value in taken.items() if name not in _ONESELF}
    return {"payload": ids | fields}


# -- Answers -----------------------------------------------------------------

_DIGITS: Json = {"type": "string", "pattern": "^[0-9]+$"}
_SEQUENCE = _DIGITS | {"description": "The tenant's log up to here is what the answer reflects."}
_REPLAYED: Json = {
    "const": "true",
    "description": "This is the answer that was given before, under the same key.",
}
_LINK: Json = {
    "type": "string",
    "description": "There is more: ask again with its `after`. The last page has none.",
}


def _headers(properties: Json, *required: str) -> Json:
    headers: Json = {"type": "object", "properties": properties}
    return headers | {"required": list(required)} if required else headers


def answer_headers(endpoint: Endpoint) -> Json:
    properties: Json = {SEQUENCE_HEADER: _SEQUENCE}
    if endpoint.command:
        properties["Idempotent-Replayed"] = _REPLAYED
    if endpoint.query is not None and issubclass(endpoint.query, PageQuery):
        properties["Link"] = _LINK
    return _headers(properties)


def answer_examples(endpoint: Endpoint) -> Iterator[Json]:
    if endpoint.name in ANSWERS:
        yield {"headers": {SEQUENCE_HEADER: "42"}, "payload": ANSWERS[endpoint.name]}


# -- Problems ----------------------------------------------------------------


def _codes(endpoint: Endpoint) -> list[str]:
    return sorted(
        (known_codes(endpoint) - _HTTP_ONLY) | _EVER, key=lambda code: (KINDS[code].status, code)
    )


def problem(endpoint: Endpoint) -> Json:
    return {"oneOf": [ref(schema_name(code)) for code in _codes(endpoint)]}


def problem_headers(endpoint: Endpoint) -> Json:
    codes = _codes(endpoint)
    statuses = sorted({str(KINDS[code].status) for code in codes})
    told = {"enum": statuses, "description": "The problem's `status`. Answers do not have it."}
    properties: Json = {
        ERROR_STATUS_HEADER: told,
        ERROR_CODE_HEADER: {"enum": codes, "description": "The problem's `code`."},
        "Retry-After": _DIGITS | {"description": "Seconds to wait before asking again."},
    }
    if endpoint.command:
        properties |= {SEQUENCE_HEADER: _SEQUENCE, "Idempotent-Replayed": _REPLAYED}
    return _headers(properties, ERROR_STATUS_HEADER, ERROR_CODE_HEADER)


def problem_examples(endpoint: Endpoint) -> Iterator[Json]:
    """Of what this operation in particular can be refused for."""
    for code in endpoint.problems or ("invalid_request",):
        kind = KINDS[code]
        body = problem_body(code, f"{kind.title}.", PROBLEM_FACTS.get(code, {}), "5f1d7a84-2c")
        headers = {ERROR_STATUS_HEADER: str(kind.status), ERROR_CODE_HEADER: code}
        yield {"name": code, "headers": headers, "payload": orjson.loads(body)}


# -- What is said unasked ----------------------------------------------------

SAID_HEADERS = _headers(
    {"Nats-Msg-Id": {"type": "string", "description": "The event's `id`."}}, "Nats-Msg-Id"
)


def said_ref(said: Said) -> Json:
    return ref(_said_name(said))


def _said_name(said: Said) -> str:
    return "LogEntry" if said is LOGGED else f"{to_pascal(said.name)}Notification"


def _envelope(said: Said) -> Json:
    types = list(EVENT_TYPES) if said is LOGGED else [said.name]
    facts = {"oneOf": [ref(said.facts.__name__), ref("Omitted")]}
    own = {"type": {"enum": [f"quorate.{name}" for name in types]}, "data": facts}
    return {
        "description": f"{said.summary}.",
        "allOf": [ref("NotificationAnswer"), {"properties": own}],
    }


def said_example(said: Said) -> Json:
    event = (
        cloud_event(LOG_ENTRY["type"], LOG_ENTRY)
        if said is LOGGED
        else cloud_event(said.name, FACTS[said.name])
    )
    return {"headers": {"Nats-Msg-Id": event["id"]}, "payload": event}
