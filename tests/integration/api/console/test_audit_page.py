"""The page of the audit, and what the log and the overview show of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from quorate.api.console.views import audit, key_issuers
from quorate.api.console.views.audit import VERIFIED, VERIFIED_AT
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.archive.archiver import Archiver
from tests.integration.api.console.test_actions import ok
from tests.integration.api.console.test_console import issue, log_in, page
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("audit") / "data") as service:
        yield service


async def shown(service: InProcess, path: str, key: str | None = None) -> str:
    response = await page(service, path, await log_in(service, key or service.key))
    assert response.status == 200, response.body.decode()
    return response.body.decode()


async def test_audit_shows_the_head_of_the_chain(service: InProcess) -> None:
    await ok(service, "/v1/agent/register", {"agentName": "head"})
    head = (await service.get("/v1/events?limit=1000")).json["events"][-1]

    text = await shown(service, "/audit")

    assert f'href="/console/log/{head["sequence"]}"' in text
    assert head["hash"] in text


@pytest.mark.parametrize(
    ("gauges", "words"),
    [
        ({VERIFIED: 1_200.0, VERIFIED_AT: 1_790_000_000.0}, "1,200 events of all tenants"),
        ({VERIFIED: 700.0, VERIFIED_AT: 0.0}, "Since the start: 700 events so far"),
    ],
)
async def test_audit_says_when_the_log_was_last_verified(
    service: InProcess, monkeypatch: pytest.MonkeyPatch, gauges: dict[str, float], words: str
) -> None:
    async def read(_caller: object, *_names: str) -> dict[str, float]:
        return gauges

    assert "Last verified" in await shown(service, "/audit")
    monkeypatch.setattr(audit, "read_gauges", read)

    assert words in await shown(service, "/audit")


async def test_audit_says_who_issued_each_key(
    service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_issuers, "_known", {})
    own = (await service.get("/v1/keys/self")).json["id"]
    issued = await issue(service, "agent", agentName="keyed")

    text = await shown(service, "/audit")

    row = text[text.index(f'id="key-{issued["id"]}"') :].partition("</tr>")[0]
    assert "keyed" in row
    assert f'<span class="id">{own}</span>' in row
    assert f"/console/actions/revokeKey?id={issued['id']}" in row


async def test_issuer_is_read_once(service: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    async def issuer(_caller: object, key_id: str, _at: object) -> str:
        read.append(key_id)
        return f"issuer-of-{key_id}"

    monkeypatch.setattr(key_issuers, "_known", {})
    monkeypatch.setattr(key_issuers, "_issuer", issuer)
    issued = (await issue(service, "auditor"))["id"]
    texts = [await shown(service, "/audit") for _ in range(2)]

    assert read.count(issued) == 1
    assert all(f"issuer-of-{issued}" in text for text in texts)


async def test_auditor_sees_the_chain_and_no_keys(service: InProcess) -> None:
    key = (await issue(service, "auditor"))["key"]

    text = await shown(service, "/audit", key)

    assert "Hash of the head" in text
    assert "may not list keys" in text


async def test_log_begins_at_a_sequence_or_before_a_time(service: InProcess) -> None:
    for name in ("one", "two", "three"):
        await ok(service, "/v1/agent/register", {"agentName": f"log-{name}"})
    events = (await service.get("/v1/events?limit=1000")).json["events"]
    last, until = events[-2]["sequence"], events[-1]["at"]

    by_sequence = await shown(service, f"/log?sequence={last}")
    by_time = await shown(service, f"/log?until={until}")
    without_zone = await shown(service, f"/log?until={until.removesuffix('Z')}")
    of_last_century = await shown(service, "/log?until=1999-12-31T23:59")

    for text in (by_sequence, by_time, without_zone):
        assert f'id="event-{last}"' in text or events[-2]["at"] == until
        assert f'id="event-{events[-1]["sequence"]}"' not in text
    assert "No event matches" in of_last_century


async def test_log_page_rejects_a_time_that_is_none(service: InProcess) -> None:
    cookie = await log_in(service, service.key)

    assert (await page(service, "/log?until=noon", cookie)).status == 422
    assert (await page(service, "/log?sequence=last", cookie)).status == 422


async def test_overview_counts_conflicts_and_contacts_name_who_waits(service: InProcess) -> None:
    ids = {}
    for name in ("holder", "rival"):
        ids[name] = (await ok(service, "/v1/agent/register", {"agentName": name}))["id"]
        lease = {"agentName": name, "contactEmail": "waited@example.com"}
        await service.call("POST", "/v1/agent/coordination/lease", lease)

    overview = await shown(service, "/")
    contact = await shown(service, "/contacts/waited@example.com")

    counter = overview.partition(">Conflicts in a minute<")[2].partition("</div>")[0]
    assert 'data-value="1"' in counter
    waiting = contact.partition("Waiting, in the order of their requests:")[2].partition("</p>")[0]
    assert ">rival</a>" in waiting
    assert ids["holder"] not in waiting


async def test_agent_page_shows_its_notifications(service: InProcess) -> None:
    agent = (await ok(service, "/v1/agent/register", {"agentName": "notified"}))["id"]
    await ok(service, "/v1/agent/register", {"agentName": "newcomer"})

    text = await shown(service, f"/agents/{agent}")

    assert '<span class="badge event">Agent registered</span>' in text
    assert "newcomer" in text


async def test_pages_say_what_is_in_archive_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_issuers, "_known", {})
    async with run_in_process(tmp_path / "data") as service:
        key = (await issue(service, "auditor"))["id"]
        for name in ("one", "two"):
            await ok(service, "/v1/agent/register", {"agentName": name})
        running = service.running.service
        later = Timestamp(running.clock() + 1_000)
        moved = await Archiver(running.log.database, tmp_path).move(later, later)
        assert moved is not None
        await ok(service, "/v1/agent/register", {"agentName": "three"})
        gap = (await service.get("/v1/events")).json["gap"]

        audit, log = await shown(service, "/audit"), await shown(service, "/log")

    assert f"Events up to {gap['until']} are in archive files" in audit
    row = audit[audit.index(f'id="key-{key}"') :].partition("</tr>")[0]
    assert "In the archive" in row
    assert f"The events up to {gap['until']} are in archive files" in log
    assert "Older than" not in log
