"""Base classes of the clients: how a request is sent, blocking or with ``await``.

A subclass sends one request with retries (``send``) and reads one event stream (``stream``). All
other methods of a client are built on these two.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from quorate.client.request_builder import Request, request_for
from quorate.client.retries import TIMEOUT_SECONDS_DEFAULT
from quorate.client.serialization import Response
from quorate.contracts.operations import Operation

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


class BlockingCaller(ABC):
    """Sends requests and waits for their responses."""

    @abstractmethod
    def send(
        self,
        request: Request[T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> Response[T]:
        """Send a request and return its result with the metadata of the response.

        The exceptions are those of ``execute``.
        """

    @abstractmethod
    def stream(
        self, path: str, after: int, log_id: str | None = None
    ) -> "Generator[httpx2.ServerSentEvent, None, None]":
        """Yield the server-sent events after ``after`` until the stream ends, without retries.

        Raises RequestFailedError or one of its subclasses.
        """

    @abstractmethod
    def sleep(self, seconds: float) -> None: ...

    def execute(
        self,
        request: Request[T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> T:
        """Send a request and return its typed result.

        ``timeout_seconds`` limits all attempts together.

        Exceptions:
        * RejectedError, at once: the service rejects the request.
        * UnavailableError: there is no response in ``timeout_seconds``. A command may have been
          carried out; send it again with the same ``idempotency_key`` to find out.
        * RequestFailedError: the response is not from Quorate, or the URL is invalid.
        * LeaseLostError: the response grants a lease, and arrived after its end.
        * ForkedError: the client belongs to the parent of this process.

        """
        return self.send(
            request, timeout_seconds=timeout_seconds, idempotency_key=idempotency_key
        ).result

    def call(
        self,
        operation: Operation[T],
        body: BaseModel | Mapping[str, Any] | None = None,
        query: BaseModel | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
        **ids: str,
    ) -> T:
        """Call an operation by its declaration in ``quorate.contracts``; return its typed response.

        ``body`` and ``query`` are instances of the operation's models, ``ids`` the values of the
        parameters in its path. The exceptions are those of ``execute``; TypeError for wrong ids.
        """
        request = request_for(operation, body, query, **ids)
        return self.execute(
            request, timeout_seconds=timeout_seconds, idempotency_key=idempotency_key
        )


class AsyncCaller(ABC):
    """Sends requests with ``await``. Its methods are those of ``BlockingCaller``."""

    @abstractmethod
    async def send(
        self,
        request: Request[T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> Response[T]:
        """Send a request and return its result with the metadata of the response.

        The exceptions are those of ``execute``.
        """

    @abstractmethod
    def stream(
        self, path: str, after: int, log_id: str | None = None
    ) -> "AsyncGenerator[httpx2.ServerSentEvent, None]":
        """Yield the server-sent events after ``after`` until the stream ends, without retries.

        Raises RequestFailedError or one of its subclasses.
        """

    @abstractmethod
    async def sleep(self, seconds: float) -> None: ...

    async def execute(
        self,
        request: Request[T],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
    ) -> T:
        """Send a request and return its typed result. The exceptions are those of ``Client``."""
        response = await self.send(
            request, timeout_seconds=timeout_seconds, idempotency_key=idempotency_key
        )
        return response.result

    async def call(
        self,
        operation: Operation[T],
        body: BaseModel | Mapping[str, Any] | None = None,
        query: BaseModel | None = None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS_DEFAULT,
        idempotency_key: str | None = None,
        **ids: str,
    ) -> T:
        """Call an operation by its declaration in ``quorate.contracts``; return its typed response.

        ``body`` and ``query`` are instances of the operation's models, ``ids`` the values of the
        parameters in its path. The exceptions are those of ``execute``; TypeError for wrong ids.
        """
        request = request_for(operation, body, query, **ids)
        return await self.execute(
            request, timeout_seconds=timeout_seconds, idempotency_key=idempotency_key
        )
