"""The SDK notices that the service has another log, also when that log is longer."""

from pathlib import Path

import pytest

from quorate.client import Client, LogMismatchError
from quorate.client import notifications as feeds
from quorate.client.cursors import (
    FileCursor,
    LogCursorStore,
    MemoryCursor,
    load_log_id,
    save_log_id,
)
from tests.e2e.client.fake_service import FakeNatsTransport, FakeService, running_feed
from tests.e2e.service.http_clients import Tenant
from tests.e2e.service.service_process import ServiceProcess


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "PAUSE_SECONDS_MAX", 0.05)


@pytest.fixture
async def fake() -> FakeService:
    fake = FakeService()
    fake.log_id = "first"
    return fake


async def test_feed_over_a_stream_ends_when_the_log_was_replaced(fake: FakeService) -> None:
    await fake.publish(1)
    async with running_feed(fake) as (feed, reader):
        await reader.wait_for(1)
        assert feed.log_id == "first"
        fake.log_id = "second"
        await fake.publish(2, 3)
        await fake.cut_streams()

        with pytest.raises(LogMismatchError):
            await reader.wait_for_end()


async def test_feed_over_nats_ends_when_the_log_was_replaced(fake: FakeService) -> None:
    nats = FakeNatsTransport()
    nats.connect()
    await fake.publish(1)
    async with running_feed(fake, 0, nats) as (_, reader):
        await reader.wait_for(1)
        fake.log_id = "second"
        await fake.publish(2, 3)
        nats.disconnect()
        nats.connect()

        with pytest.raises(LogMismatchError):
            await reader.wait_for_end()


async def test_feed_of_a_service_that_names_no_log_works(fake: FakeService) -> None:
    fake.log_id = None
    await fake.publish(1)
    async with running_feed(fake) as (feed, reader):
        await reader.wait_for(1)
        await fake.cut_streams()
        await fake.publish(2)
        assert await reader.wait_for(2) == [1, 2]
        assert feed.log_id is None
    assert set(fake.received_log_ids) == {None}


def test_log_is_read_from_one_log_only(service: ServiceProcess, tenant: Tenant) -> None:
    with Client(service.url, str(tenant.key)) as client:
        page = client.events.list(limit=1)
        assert page.log_id is not None
        assert client.events.list(after=page.head, log_id=page.log_id).events == []
        with pytest.raises(LogMismatchError) as mismatch:
            client.events.list(log_id="another")
        with pytest.raises(LogMismatchError):
            list(client.events(after=page.head + 99, follow=True))

    assert mismatch.value.details["logId"] == page.log_id


async def test_file_cursor_keeps_the_log_id_behind_the_sequence(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    first = FileCursor(path)
    assert (await first.load(), await first.load_log_id()) == (None, None)
    await save_log_id(first, "log-1")
    await first.save(7)
    second = FileCursor(path)

    assert path.read_text() == "7 log-1\n"
    assert (await second.load(), await second.load_log_id()) == (7, "log-1")
    await second.save(8)
    assert path.read_text() == "8 log-1\n"


async def test_file_cursor_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    path.write_text("7\n")
    cursor = FileCursor(path)

    assert (await cursor.load(), await cursor.load_log_id()) == (7, None)
    await cursor.save_log_id("log-1")
    assert path.read_text() == "7 log-1\n"


async def test_store_without_a_log_id_is_sufficient() -> None:
    class Plain:
        async def load(self) -> int | None:
            return 1

        async def save(self, sequence: int) -> None:
            pass

    assert not isinstance(Plain(), LogCursorStore)
    assert isinstance(MemoryCursor(), LogCursorStore)
    assert await load_log_id(Plain(), "known") == "known"
    assert await save_log_id(Plain(), "new") == "new"
