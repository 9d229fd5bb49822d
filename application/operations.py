"""Operations: who may call each one, what it takes, what it answers, and how it can fail.

Every transport is built from these declarations, and so are the OpenAPI document and the tests of
tenant isolation: a new operation is covered without further code.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from pydantic import BaseModel

from quorate.application.tracing import Span
from quorate.contracts.problems import KINDS
from quorate.domain.identity.api_keys import Role
from quorate.domain.shared.records import record
from quorate.runtime.asgi import Receive, Send

_PATH_PARAMETER = re.compile(r"{(\w+)}")


class Call:
    """One request, once it has passed the gate."""

    __slots__ = (
        *("body", "headers", "path", "principal", "query"),
        *("receive", "request_id", "send", "span", "urgent"),
    )

    def __init__(self, path: Mapping[str, str], headers: Mapping[bytes, bytes]) -> None:
        self.path = path
        self.headers = headers
        self.principal: Any = None  # A Principal, except on public endpoints.
        self.body: Any = None  # An instance of the endpoint's body model.
        self.query: Any = None  # An instance of the endpoint's query model.
        self.request_id = ""
        self.urgent = False
        self.span: Span | None = None
        self.receive: Receive
        self.send: Send


@record
class Reply:
    body: bytes
    sequence: int | None = None  # The tenant's head that the answer reflects.
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media: bytes | None = None  # Other than JSON.


class Streamed:
    """The handler has answered by itself, over ``call.send``."""

    status = 200


Handler: TypeAlias = Callable[[Call], Awaitable[Reply | Streamed]]


@record
class Endpoint:
    """A row of the table. No roles means public: no key is asked for."""

    method: str
    path: str
    name: str
    summary: str
    roles: frozenset[Role] = frozenset()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Any = None  # A TypedDict, or a list of one.
    media: str = "text/html"  # Of an answer that is not JSON.
    problems: Sequence[str] = ()
    command: bool = False  # Takes an Idempotency-Key.
    streams: bool = False
    urgent: bool = False  # Without it a lease is lost, or stays taken: it goes before others.
    of_key: bool = False  # Is about the key that was shown. NATS shows us none: HTTP only.
    handler: Callable[[Any, Call], Awaitable[Reply | Streamed]]  # Takes the service first.


def known_codes(endpoint: Endpoint) -> frozenset[str]:
    """Every code with which this endpoint may answer."""
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
    """The names of the ids in its path, as its handler knows them."""
    return _PATH_PARAMETER.findall(endpoint.path)
