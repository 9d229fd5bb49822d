"""Handlers of operations: what a call contains, what a handler returns, and who handles what.

Operations are declared in ``contracts/``. A handler knows no transport.
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias, TypeVar

from quorate.application.tracing import Span
from quorate.contracts.operations import AnyOperation, is_pausable
from quorate.contracts.problems import Problem
from quorate.domain.shared.records import record
from quorate.eventlog import pages
from quorate.runtime.asgi import Receive


class Call:
    """One request that is authenticated and validated."""

    __slots__ = (
        *("allowance", "body", "headers", "page_bytes_max", "path", "pausable", "principal"),
        *("query", "receive", "request_id", "response_bytes_max", "span", "unmetered", "urgent"),
    )

    def __init__(self, path: Mapping[str, str], headers: Mapping[bytes, bytes]) -> None:
        self.path = path
        self.headers = headers
        self.principal: Any = None  # A Principal, except for public operations.
        self.body: Any = None  # An instance of the operation's body model.
        self.query: Any = None  # An instance of the operation's query model.
        self.request_id = ""
        self.urgent = False
        self.page_bytes_max = pages.PAGE_BYTES_MAX
        self.response_bytes_max: int | None = None  # Over NATS; HTTP has no limit.
        self.unmetered = False
        self.pausable = True
        self.allowance: tuple[tuple[bytes, bytes], ...] = ()  # Headers about the rate limit.
        self.span: Span | None = None
        self.receive: Receive

    def follow(self, operation: AnyOperation) -> None:
        """Take from the declaration how commands of the call are executed."""
        self.urgent, self.unmetered = operation.urgent, operation.unmetered
        self.pausable = is_pausable(operation)


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
    headers: tuple[tuple[bytes, bytes], ...] = ()


Handler: TypeAlias = Callable[[Call], Awaitable[Reply | Streamed]]
# Its first argument is the Service.
HandlerOfService: TypeAlias = Callable[[Any, Call], Awaitable[Reply | Streamed]]
H = TypeVar("H", bound=HandlerOfService)


HANDLERS: dict[str, HandlerOfService] = {}  # By operation name.


def handles(operation: AnyOperation) -> Callable[[H], H]:
    """Register the decorated function as the handler of an operation."""

    def register(handler: H) -> H:
        assert operation.name not in HANDLERS, f"{operation.name} has two handlers"
        HANDLERS[operation.name] = handler
        return handler

    return register


def too_large_for_nats(operation: AnyOperation, size: int) -> Problem:
    """Return the problem of a response that fits in no message of NATS."""
    if operation.query is not None and "limit" in operation.query.model_fields:
        detail = "limit: The response is too large for one NATS message."
    else:
        detail = (
            f"The response of {size} bytes is too large for one NATS message: "
            f"use HTTP, {operation.method} {operation.path}."
        )
    return Problem("invalid_request", detail)


def topic_of(operation: AnyOperation) -> str:
    """Return the topic of an operation in the API documents: the module of its handler."""
    return HANDLERS[operation.name].__module__.rpartition(".")[2]


def describe_topics(operations: Iterable[AnyOperation]) -> dict[str, str]:
    """Return the first paragraph of the docstring of each topic's module, in order."""
    modules = dict.fromkeys(HANDLERS[operation.name].__module__ for operation in operations)
    return {name.rpartition(".")[2]: _first_paragraph(name) for name in modules}


def _first_paragraph(module: str) -> str:
    text = sys.modules[module].__doc__ or ""
    return " ".join(text.split("\n\n")[0].split())
