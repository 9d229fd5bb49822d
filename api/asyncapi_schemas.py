"""The schemas, headers and examples of the messages in the AsyncAPI document.

* A request is one JSON object with the fields of the HTTP body, query and path.
* Responses and problems are the same as over HTTP.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from pydantic.alias_generators import to_pascal

from quorate.api.descriptions import (
    IDEMPOTENCY_KEY_DESCRIPTION,
    IDEMPOTENCY_KEY_SCHEMA,
    id_description,
)
from quorate.api.json_schemas import Json, Mode, generate_schemas, ref, simplify
from quorate.api.notification_schemas import LOG_EVENTS, NOTIFICATIONS, Omitted, PublishedMessage
from quorate.api.problem_schemas import problem_schemas, schema_name
from quorate.application.operations import Endpoint, known_codes
from quorate.bus.nats_commands import (
    ERROR_CODE_HEADER,
    ERROR_STATUS_HEADER,
    IDEMPOTENCY_FIELD,
    IDEMPOTENCY_HEADER,
    OWN_ID_PARAMETER,
    REQUEST_ID_HEADER,
    SEQUENCE_HEADER,
    id_fields,
)
from quorate.contracts.examples import (
    BODIES,
    LOG_ENTRY,
    NOTIFICATION_DATA,
    PATH_IDS,
    PROBLEM_DETAILS,
    QUERIES,
    RESPONSES,
    cloud_event,
)
from quorate.contracts.problems import KINDS, problem_body
from quorate.contracts.requests import PageQuery
from quorate.contracts.responses import NotificationResponse
from quorate.domain.registry import EVENT_TYPES

# Problems that cannot occur over NATS, where nats-server checks the key, and the subject names the
# caller and the operation.
_HTTP_ONLY = {
    "method_not_allowed",
    "not_found",
    "request_timeout",
    "role_forbidden",
    "tenant_ambiguous",
    "unauthorized",
    "unsupported_media_type",
}
# Problems that every operation may return over NATS: each request is a message from an agent.
_ALWAYS_POSSIBLE = {"agent_not_found", "body_too_large", "invalid_request", "malformed_request"}
# Optional fields that the examples omit.
_OPTIONAL_FIELDS = {"tenantId", "agentId", "agentName", "proposerAgent"}

# -- Definitions -------------------------------------------------------------


def definitions(endpoints: Sequence[Endpoint]) -> tuple[dict[str, Json], Json]:
    """Return the response schema of each endpoint by operation name, and all named schemas."""
    types: dict[str, tuple[Mode, Any]] = {
        one.name: ("serialization", one.response) for one in endpoints
    }
    data = {message.data.__name__: message.data for message in (*NOTIFICATIONS, LOG_EVENTS)}
    for type_ in (*data.values(), NotificationResponse, Omitted):
        types[type_.__name__] = ("serialization", type_)
    refs, shared = generate_schemas(types)
    codes = {code for one in endpoints for code in _codes(one)}
    own = {_request_name(one): _request(one) for one in endpoints}
    message = {_published_name(one): _envelope(one) for one in (*NOTIFICATIONS, LOG_EVENTS)}
    return refs, own | shared | message | problem_schemas(codes)


# -- Requests ----------------------------------------------------------------


def request(endpoint: Endpoint) -> Json:
    return ref(_request_name(endpoint))


def _request_name(endpoint: Endpoint) -> str:
    return f"{endpoint.name[0].upper()}{endpoint.name[1:]}Request"


def _request(endpoint: Endpoint) -> Json:
    properties: Json = {}
    required: list[str] = []
    open_ended = False
    for name, field in id_fields(endpoint).items():
        properties[field] = {"type": "string", "description": _id_description(name)}
        if name != OWN_ID_PARAMETER:
            required.append(field)
    model = endpoint.body or endpoint.query
    if model is not None:
        fields = simplify(model.model_json_schema(by_alias=True))
        properties |= fields["properties"]
        required += fields.get("required", ())
        open_ended = fields.get("additionalProperties", True)
    if endpoint.command:
        properties[IDEMPOTENCY_FIELD] = _idempotency_key("Same as the header `Idempotency-Key`.")
    request_schema = {
        "type": "object",
        "description": f"{endpoint.summary}.",
        "properties": properties,
    }
    if required:
        request_schema["required"] = required
    return request_schema if open_ended else request_schema | {"additionalProperties": False}


def _id_description(name: str) -> str:
    description = id_description(name)
    return f"{description} Default: the calling agent." if name == OWN_ID_PARAMETER else description


def _idempotency_key(description: str) -> Json:
    return {**IDEMPOTENCY_KEY_SCHEMA, "description": description}


def request_headers(endpoint: Endpoint) -> Json:
    properties: Json = {REQUEST_ID_HEADER: _REQUEST_ID}
    if endpoint.command:
        key = _idempotency_key(IDEMPOTENCY_KEY_DESCRIPTION)
        properties = {IDEMPOTENCY_HEADER: key, **properties}
    return _headers(properties)


_REQUEST_ID: Json = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_-]{1,64}$",
    "description": "Identifies the request in the service's logs and in problems.",
}


def request_example(endpoint: Endpoint) -> Json:
    """Return the request of an agent for itself, without the optional fields."""
    taken = BODIES.get(endpoint.name) or QUERIES.get(endpoint.name, {})
    ids = {
        field: PATH_IDS[field]
        for name, field in id_fields(endpoint).items()
        if name != OWN_ID_PARAMETER
    }
    fields = {name: value for name, value in taken.items() if name not in _OPTIONAL_FIELDS}
    return {"payload": ids | fields}


# -- Responses ---------------------------------------------------------------

_DIGITS: Json = {"type": "string", "pattern": "^[0-9]+$"}
_SEQUENCE = _DIGITS | {"description": "The response reflects the tenant's log up to this sequence."}
_REPLAYED: Json = {
    "const": "true",
    "description": "The response to an earlier request with the same idempotency key.",
}
_LINK: Json = {
    "type": "string",
    "description": "The next page: send its `after`. Absent on the last page.",
}


def _headers(properties: Json, *required: str) -> Json:
    headers: Json = {"type": "object", "properties": properties}
    return headers | {"required": list(required)} if required else headers


def response_headers(endpoint: Endpoint) -> Json:
    properties: Json = {SEQUENCE_HEADER: _SEQUENCE}
    if endpoint.command:
        properties["Idempotent-Replayed"] = _REPLAYED
    if endpoint.query is not None and issubclass(endpoint.query, PageQuery):
        properties["Link"] = _LINK
    return _headers(properties)


def response_examples(endpoint: Endpoint) -> Iterator[Json]:
    if endpoint.name in RESPONSES:
        yield {"headers": {SEQUENCE_HEADER: "42"}, "payload": RESPONSES[endpoint.name]}


# -- Problems ----------------------------------------------------------------


def _codes(endpoint: Endpoint) -> list[str]:
    return sorted(
        (known_codes(endpoint) - _HTTP_ONLY) | _ALWAYS_POSSIBLE,
        key=lambda code: (KINDS[code].status, code),
    )


def problem(endpoint: Endpoint) -> Json:
    return {"oneOf": [ref(schema_name(code)) for code in _codes(endpoint)]}


def problem_headers(endpoint: Endpoint) -> Json:
    codes = _codes(endpoint)
    statuses = sorted({str(KINDS[code].status) for code in codes})
    description = {
        "enum": statuses,
        "description": "The problem's `status`. Successful responses do not have it.",
    }
    properties: Json = {
        ERROR_STATUS_HEADER: description,
        ERROR_CODE_HEADER: {"enum": codes, "description": "The problem's `code`."},
        "Retry-After": _DIGITS | {"description": "Seconds to wait before the next attempt."},
    }
    if endpoint.command:
        properties |= {SEQUENCE_HEADER: _SEQUENCE, "Idempotent-Replayed": _REPLAYED}
    return _headers(properties, ERROR_STATUS_HEADER, ERROR_CODE_HEADER)


def problem_examples(endpoint: Endpoint) -> Iterator[Json]:
    """Yield an example of each problem that is specific to this operation."""
    for code in endpoint.problems or ("invalid_request",):
        kind = KINDS[code]
        body = problem_body(code, f"{kind.title}.", PROBLEM_DETAILS.get(code, {}), "5f1d7a84-2c")
        headers = {ERROR_STATUS_HEADER: str(kind.status), ERROR_CODE_HEADER: code}
        yield {"name": code, "headers": headers, "payload": orjson.loads(body)}


# -- Publications ------------------------------------------------------------

PUBLISHED_HEADERS = _headers(
    {"Nats-Msg-Id": {"type": "string", "description": "The event's `id`."}}, "Nats-Msg-Id"
)


def published_ref(message: PublishedMessage) -> Json:
    return ref(_published_name(message))


def _published_name(message: PublishedMessage) -> str:
    return "LogEntry" if message is LOG_EVENTS else f"{to_pascal(message.name)}Notification"


def _envelope(message: PublishedMessage) -> Json:
    types = list(EVENT_TYPES) if message is LOG_EVENTS else [message.name]
    data = {"oneOf": [ref(message.data.__name__), ref("Omitted")]}
    own = {"type": {"enum": [f"quorate.{name}" for name in types]}, "data": data}
    return {
        "description": message.description,
        "allOf": [ref("NotificationResponse"), {"properties": own}],
    }


def published_example(message: PublishedMessage) -> Json:
    event = (
        cloud_event(LOG_ENTRY["type"], LOG_ENTRY)
        if message is LOG_EVENTS
        else cloud_event(message.name, NOTIFICATION_DATA[message.name])
    )
    return {"headers": {"Nats-Msg-Id": event["id"]}, "payload": event}
