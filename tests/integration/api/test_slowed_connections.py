"""A connection whose request exceeded a limit starts its next request later."""

import time

import pytest

from quorate.server import shared_capacity
from quorate.server.connection_table import ConnectionTable
from quorate.server.shared_capacity import RATE_LIMITED_PAUSE_SECONDS
from tests.integration.api.http_server import EchoApplication, RunningServer, get
from tests.integration.api.raw_clients import RawConnection

LONG_SECONDS = 3_600.0  # Nothing waits for it: a request that is delayed never starts.
LIMITED, NEXT = get("/limited"), get("/next")


@pytest.mark.parametrize("is_pipelined", [True, False])
def test_next_request_starts_after_the_pause(server: RunningServer, *, is_pipelined: bool) -> None:
    with RawConnection(server.port) as connection:
        connection.send(LIMITED + NEXT if is_pipelined else LIMITED)
        assert connection.read_response().body == b"/limited"
        read_at = time.monotonic()
        if not is_pipelined:
            connection.send(NEXT)

        assert connection.read_response().body == b"/next"

    # The pause begins when the request is rejected, shortly before its response is read.
    assert time.monotonic() - read_at >= RATE_LIMITED_PAUSE_SECONDS / 2


def test_other_connections_are_not_delayed(
    server: RunningServer, application: EchoApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_capacity, "RATE_LIMITED_PAUSE_SECONDS", LONG_SECONDS)
    with RawConnection(server.port) as slowed, RawConnection(server.port) as other:
        slowed.send(LIMITED + get("/delayed"))
        assert slowed.read_response().body == b"/limited"
        other.send(NEXT)

        assert other.read_response().body == b"/next"

    assert "/delayed" not in application.begun


@pytest.mark.parametrize("path", ["/anything", "/echo"])
@pytest.mark.parametrize("is_pipelined", [True, False])
def test_flood_without_a_key_is_slowed_down(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, path: str, *, is_pipelined: bool
) -> None:
    """No rate limit counts these requests. ``/echo`` rejects every key."""
    monkeypatch.setattr(ConnectionTable, "is_flooded_by", lambda _table, _host: True)
    with RawConnection(server.port) as connection:
        connection.send(get(path) + NEXT if is_pipelined else get(path))
        connection.read_response()
        read_at = time.monotonic()
        if not is_pipelined:
            connection.send(NEXT)

        assert connection.read_response().body == b"/next"

    assert time.monotonic() - read_at >= RATE_LIMITED_PAUSE_SECONDS / 2


def test_request_of_a_client_that_left_never_starts(
    server: RunningServer, application: EchoApplication
) -> None:
    with RawConnection(server.port) as gone:
        gone.send(LIMITED + get("/gone"))
        assert gone.read_response().body == b"/limited"
    with RawConnection(server.port) as other:
        other.send(LIMITED + NEXT)  # Its pause ends after that of the other.
        assert [other.read_response().body for _ in range(2)] == [b"/limited", b"/next"]

    assert "/gone" not in application.begun
