"""Operations: roles, request and response models, and possible problems of each.

Every transport, the OpenAPI document and the tests of tenant isolation are built from these
declarations. A new operation therefore needs no further code there.
"""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel

from quorate.application.tracing import Span
from quorate.contracts.problems import KINDS
from quorate.domain.identity.principals import Role
from quorate.domain.shared.records import record
from quorate.runtime.asgi import Receive

ID_LENGTH_MAX = 64
_PATH_PARAMETER = re.compile(r"{(\w+)}")


class Call:
    """One request that is authenticated and validated."""

    __slots__ = (
        *("body", "headers", "path", "principal", "query"),
        *("receive", "request_id", "span", "urgent"),
    )

    def __init__(self, path: Mapping[str, str], headers: Mapping[bytes, bytes]) -> None:
        self.path = path
        self.headers = headers
        self.principal: Any = None  # A Principal, except for public endpoints.
        self.body: Any = None  # An instance of the endpoint's body model.
        self.query: Any = None  # An instance of the endpoint's query model.
        self.request_id = ""
        self.urgent = False
        self.span: Span | None = None
        self.receive: Receive


@record
class Reply:
    body: bytes
    sequence: int | None = None  # The head of the tenant's log that the response reflects.
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media: bytes | None = None  # The media type, unless it is JSON.


@record
class Streamed:
    """A response without an end; its first part is ready before the headers are sent."""

    frames: AsyncGenerator[bytes]


Handler: TypeAlias = Callable[[Call], Awaitable[Reply | Streamed]]


@record
class Endpoint:
    """The declaration of one operation. An endpoint without roles is public and needs no key."""

    method: str
    path: str
    name: str
    summary: str  # Imperative, without a period.
    description: str = ""  # Side conditions, as full sentences.
    roles: frozenset[Role] = frozenset()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    response: Any = None  # A TypedDict, or a list of one.
    media: str = "text/html"  # The media type of a response that is not JSON.
    problems: Sequence[str] = ()
    command: bool = False  # Accepts an Idempotency-Key.
    streams: bool = False
    urgent: bool = False  # Runs before others: a delay would lose or block a lease.
    of_key: bool = False  # Concerns the key itself. HTTP only: NATS requests carry no key.
    handler: Callable[
        [Any, Call], Awaitable[Reply | Streamed]
    ]  # Its first argument is the Service.


def known_codes(endpoint: Endpoint) -> frozenset[str]:
    """Return every problem code that this endpoint can respond with."""
    codes = {"internal_error", "unavailable", "not_found", "method_not_allowed"}
    if endpoint.roles:
        codes |= {"unauthorized", "role_forbidden", "tenant_forbidden", "rate_limited"}
    if endpoint.body is not None:
        codes |= {
            "malformed_request",
            "body_too_large",
            "unsupported_media_type",
            "invalid_request",
            "request_timeout",
        }
    if endpoint.query is not None:
        codes |= {"malformed_request", "invalid_request"}
    if endpoint.body is not None and endpoint.query is not None:
        codes.add("tenant_ambiguous")
    if endpoint.command:
        codes |= {"idempotency_key_invalid", "idempotency_key_reused"}
    unknown = set(endpoint.problems) - set(KINDS)
    assert not unknown, f"{endpoint.name} names unknown problems: {unknown}"
    return frozenset(codes | set(endpoint.problems))


def path_parameters(endpoint: Endpoint) -> Sequence[str]:
    """Return the parameter names in the path, as the handler receives them."""
    return _PATH_PARAMETER.findall(endpoint.path)


def is_id(text: str) -> bool:
    """Whether the text has a form that an id of the service may have."""
    return len(text) <= ID_LENGTH_MAX and text.isascii() and text.isprintable()
