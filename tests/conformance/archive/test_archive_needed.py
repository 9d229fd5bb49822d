"""A reader of archived events gets a gap, never a shorter result without notice."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from quorate.domain.identity.agents import AgentRef
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.recorded_event import RecordedEvent
from quorate.projections.notifications import NotificationPage, NotificationQueries
from tests.conformance.archive.archive_files import ALL, LATER, move
from tests.conformance.projections.random_history import TENANTS

RETENTION_HOURS = 10**6  # Nothing but archived events may be missing.


async def test_page_reports_the_archived_range(log: EventStore, folder: Path) -> None:
    before = {tenant: await log.page(tenant, 0, ALL, Filter()) for tenant in TENANTS}
    await move(log, folder)

    for tenant, whole in before.items():
        for after in range(whole.head + 1):
            page = await log.page(tenant, after, ALL, Filter())
            missed = after if page.gap is None else page.gap.until
            assert page.gap is None or (page.gap.after, missed > after) == (after, True)
            assert list(page.events) == list(whole.events[missed:])
            assert (page.head, page.scanned_to) == (whole.head, max(whole.head, after))
        assert (await log.page(tenant, 0, ALL, Filter())).gap is not None


async def test_filter_does_not_hide_the_gap(log: EventStore, folder: Path) -> None:
    await move(log, folder)

    page = await log.page(TENANTS[0], 0, ALL, Filter(type="NothingOfTheKind"))

    assert page.gap is not None
    assert page.scanned_to == page.head


async def _all_notifications(
    log: EventStore,
) -> Mapping[tuple[str, str], Sequence[NotificationPage]]:
    """Return the pages that each agent reads after each sequence."""
    reader = NotificationQueries(log, lambda: LATER, retention_hours=RETENTION_HOURS)
    found = {}
    for tenant in TENANTS:
        head = (await log.page(tenant, 0, 1, Filter())).head
        for name in ("ann", "bob"):
            agent = await reader.agent_id(tenant, AgentRef(name=name))
            assert agent is not None
            found[tenant, name] = [
                await reader.page(tenant, agent, after, ALL) for after in range(0, head, 5)
            ]
    return found


async def test_agent_that_missed_archived_notifications_gets_a_gap(
    log: EventStore, folder: Path
) -> None:
    """Each notification arrives or is covered by a gap; no other gap is reported."""
    before = await _all_notifications(log)
    await move(log, folder)
    after = await _all_notifications(log)

    gaps = 0
    for who, pages in after.items():
        for page, whole in zip(pages, before[who], strict=True):
            until = page.gap.until if page.gap else 0
            lost = [item for item in whole.events if item.sequence <= until]
            assert list(page.events) == [item for item in whole.events if item.sequence > until]
            assert bool(lost) == (page.gap is not None)
            gaps += bool(lost)
    assert gaps


async def test_agent_reads_all_remaining_notifications_by_page(
    log: EventStore, folder: Path
) -> None:
    before = await _all_notifications(log)
    await move(log, folder)
    reader = NotificationQueries(log, lambda: LATER, retention_hours=RETENTION_HOURS)

    for (tenant, name), (whole, *_) in before.items():
        agent = await reader.agent_id(tenant, AgentRef(name=name))
        assert agent is not None
        received: list[RecordedEvent] = []
        after = missed = 0
        while after < whole.head:
            page = await reader.page(tenant, agent, after, 3)
            received += page.events
            missed = page.gap.until if page.gap else missed
            after = page.next
        assert received == [item for item in whole.events if item.sequence > missed > 0]
