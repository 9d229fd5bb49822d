"""The stream's methods report what JetStream responds, and end when they are cancelled."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from nats.aio.msg import Msg

from quorate.bus.connection import RequestTimeout
from quorate.bus.outbox import jetstream_stream
from quorate.bus.outbox.jetstream_stream import STREAM, Entry, LogStream, StreamRejected
from quorate.bus.subjects import log
from tests.integration.bus.stage import TENANT, Stage, until

INFO = (
    b'{"config": {"max_msgs": 1}, "state": '
    b'{"messages": 0, "bytes": 0, "first_seq": 1, "last_seq": 0, "consumer_count": 0}}'
)
ACKNOWLEDGEMENT = f'{{"stream": "{STREAM}", "seq": 1}}'.encode()


def entry(position: int) -> Entry:
    return Entry(position=position, subject=log(TENANT, "T"), id=f"id {position}", body=b"{}")


def is_stopped(pid: int) -> bool:
    """Return whether every thread is stopped; the signal reaches them one after another."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)


@pytest.fixture
async def stream(apart: Stage) -> LogStream:
    """The stream, which does not exist yet; no relay runs."""
    return LogStream(await apart.service())


@pytest.fixture
async def frozen(apart: Stage, stream: LogStream) -> AsyncIterator[LogStream]:
    """The stream on a server that does not respond any more."""
    pid = apart.running_server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        await until(lambda: is_stopped(pid))
        yield stream
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_stream_that_does_not_exist_has_no_state(stream: LogStream) -> None:
    assert await stream.state() is None
    await stream.delete()


async def test_created_stream_has_the_expected_configuration(stream: LogStream) -> None:
    await stream.create(first=7, filled_to=9)

    info = await stream.connection.client.jetstream().stream_info(STREAM)
    state = await stream.state()

    assert state is not None
    assert (state.first_configured, state.filled_to, state.is_complete) == (7, 9, True)
    assert state.messages_max == info.config.max_msgs == jetstream_stream.MIRROR_EVENTS_MAX
    assert info.config.duplicate_window == jetstream_stream.DUPLICATES_SECONDS
    assert (info.config.retention, info.config.storage, info.config.discard) == (
        "limits",
        "file",
        "old",
    )


async def test_append_without_a_stream_has_an_unknown_result(stream: LogStream) -> None:
    with pytest.raises(RequestTimeout):
        await stream.append([entry(1)])


async def test_stream_rejects_a_batch_after_a_gap(stream: LogStream) -> None:
    await stream.create(first=1, filled_to=0)
    await stream.append([entry(1), entry(2)])

    with pytest.raises(StreamRejected) as rejected:
        await stream.append([entry(4), entry(5)])

    assert rejected.value.is_wrong_sequence
    state = await stream.state()
    assert state is not None
    assert state.last == 2


async def test_silent_jetstream_times_out(
    frozen: LogStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_stream, "RESPONSE_SECONDS_MAX", 0.05)

    for call in (frozen.state, frozen.delete, lambda: frozen.append([entry(1)])):
        with pytest.raises(RequestTimeout, match="does not respond"):
            await call()


@pytest.mark.parametrize(
    ("call", "data"),
    [(LogStream.state, INFO), (lambda stream: stream.append([entry(1)]), ACKNOWLEDGEMENT)],
    ids=["state", "append"],
)
async def test_cancellation_that_arrives_with_the_response_is_not_lost(
    frozen: LogStream, call: Callable[[LogStream], Awaitable[object]], data: bytes
) -> None:
    pending = asyncio.ensure_future(call(frozen))
    client: Any = frozen.connection.client
    await until(lambda: bool(client._resp_map))
    (response,) = client._resp_map.values()

    response.set_result(Msg(_client=client, data=data))
    pending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await pending
