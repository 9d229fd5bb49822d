"""The line to a service that a verb holds while it works.

A person waits at the other end, so what cannot be reached is given up after seconds; until then
each call is tried again, under one idempotency key.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from quorate.cli.connection.resolve import Service, TargetSources, called_service
from quorate.cli.output.errors import ADVICE, calls

if TYPE_CHECKING:
    from quorate.client.requests import Ask
    from quorate.client.transports.sync_http import Caller

T = TypeVar("T")

WITHIN_SECONDS_MAX = 5.0
PAGE_LENGTH_MAX = 1_000


class ApiClient:
    def __init__(self, service: Service, caller: "Caller") -> None:
        self.service = service
        self.caller = caller

    def ask(self, ask: "Ask[T]") -> T:
        return self.caller.call(ask, within_seconds=WITHIN_SECONDS_MAX)

    def listed(
        self,
        page: "Callable[[str | None, int], Ask[list[T]]]",
        id_of: Callable[[T], str],
        limit: int,
    ) -> list[T]:
        """The first ``limit`` of a list, page by page."""
        found: list[T] = []
        while len(found) < limit:
            length = min(PAGE_LENGTH_MAX, limit - len(found))
            more = self.ask(page(id_of(found[-1]) if found else None, length))
            found += more
            if len(more) < length:
                break
        return found


@contextmanager
def calling(
    where: TargetSources, service: Service | None = None, *, advice: Mapping[str, str] = ADVICE
) -> Iterator[ApiClient]:
    """Inside, what the service declines ends the verb: in a sentence, with the code that fits."""
    from quorate.client.transports.sync_http import Caller

    service = service or called_service(where)
    with (
        calls(as_json=where.as_json, advice=advice),
        Caller(service.url, service.api_key) as caller,
    ):
        yield ApiClient(service, caller)
