"""Synchronous API client of the commands.

A person waits for the response, so a call gives up after ``CALL_TIMEOUT_SECONDS``. Until then each
call is retried under one idempotency key.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click

from quorate.cli.connection.resolve import Service, TargetSources, resolve_target
from quorate.cli.options import AS_OF
from quorate.cli.output.errors import ADVICE, report_errors

if TYPE_CHECKING:
    from quorate.client.request_builder import Request
    from quorate.client.transports.sync_http import Client

T = TypeVar("T")

CALL_TIMEOUT_SECONDS = 30.0


class ApiClient:
    def __init__(self, service: Service, client: "Client") -> None:
        self.service = service
        self.client = client

    def call(
        self,
        request: "Request[T]",
        *,
        idempotency_key: str | None = None,
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> T:
        """Validate the request, then send it; raises UsageError before anything is sent."""
        from quorate.cli.connection.validation import require_valid

        request = _of_moment(request)
        require_valid(request)
        return self.client.execute(
            request, timeout_seconds=timeout_seconds, idempotency_key=idempotency_key
        )

    def list_all(
        self,
        page: "Callable[[str | None, int], Request[list[T]]]",
        limit: int,
    ) -> list[T]:
        """Read the first ``limit`` items of a list, page by page."""
        from quorate.cli.connection.validation import require_valid
        from quorate.contracts.wire_models import PAGE_LENGTH_MAX

        found: list[T] = []
        after: str | None = None
        while len(found) < limit:
            request = _of_moment(page(after, min(PAGE_LENGTH_MAX, limit - len(found))))
            require_valid(request)
            response = self.client.send(request, timeout_seconds=CALL_TIMEOUT_SECONDS)
            found += response.result
            if (after := response.next_after) is None:
                break
        return found


def _of_moment(request: "Request[T]") -> "Request[T]":
    """Return the request for the moment that ``--as-of`` names."""
    moment = click.get_current_context().meta.get(AS_OF)
    return request if moment is None else request.as_of(moment)


@contextmanager
def open_api(
    sources: TargetSources, service: Service | None = None, *, advice: Mapping[str, str] = ADVICE
) -> Iterator[ApiClient]:
    """Open a client; a failed call inside the block ends the command with its exit code."""
    from quorate.client.transports.sync_http import Client

    service = service or resolve_target(sources)
    with (
        report_errors(as_json=sources.as_json, advice=advice, key_from=service.key_from),
        Client(service.url, service.api_key) as client,
    ):
        yield ApiClient(service, client)
