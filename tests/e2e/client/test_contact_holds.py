"""Within one agent, one task at a time holds a contact; waiting tasks get it in their order."""

import asyncio

import pytest

from quorate.client.contact_holds import ContactHolds
from quorate.client.contact_waiting import PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN, Pauses
from quorate.client.rejections import LeaseConflictError

CONTACT = "user@example.com"
LONG = 20.0


async def hold(holds: ContactHolds[str], owner: str, *, shared: bool = False) -> bool:
    return await holds.hold(CONTACT, owner, is_shared=shared, seconds=0)


def wait(holds: ContactHolds[str], owner: str, *, shared: bool = False) -> asyncio.Task[bool]:
    return asyncio.create_task(holds.hold(CONTACT, owner, is_shared=shared, seconds=LONG))


async def test_held_contact_is_refused_without_waiting() -> None:
    holds = ContactHolds[str]()

    assert await hold(holds, "one")
    assert not await hold(holds, "two")
    assert await holds.hold("other@example.com", "two", is_shared=False, seconds=0)
    holds.free(CONTACT, "one")
    assert await hold(holds, "two")


async def test_waiting_tasks_get_the_contact_in_their_order() -> None:
    holds = ContactHolds[str]()
    await hold(holds, "one")
    waiting = [wait(holds, owner) for owner in ("two", "three")]
    await asyncio.sleep(0)
    assert not await hold(holds, "four")  # It cannot pass those who wait.
    holds.free(CONTACT, "one")

    assert await waiting[0]
    assert (holds.owners(CONTACT), waiting[1].done()) == (("two",), False)
    holds.free(CONTACT, "two")
    assert await waiting[1]


async def test_wait_ends_after_its_time() -> None:
    holds = ContactHolds[str]()
    await hold(holds, "one")

    assert not await holds.hold(CONTACT, "two", is_shared=False, seconds=0.01)
    holds.free(CONTACT, "one")
    assert holds.owners(CONTACT) == ()


async def test_cancelled_wait_leaves_the_contact_to_the_next() -> None:
    holds = ContactHolds[str]()
    await hold(holds, "one")
    cancelled, waiting = wait(holds, "two"), wait(holds, "three")
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    holds.free(CONTACT, "one")

    assert await waiting
    assert holds.owners(CONTACT) == ("three",)


async def test_contact_granted_to_a_cancelled_task_is_freed() -> None:
    holds = ContactHolds[str]()
    await hold(holds, "one")
    cancelled = wait(holds, "two")
    await asyncio.sleep(0)
    holds.free(CONTACT, "one")  # Grants it to a task that has not run since.
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)

    assert holds.owners(CONTACT) == ()


async def test_shared_holds_exclude_exclusive_ones() -> None:
    holds = ContactHolds[str]()

    assert await hold(holds, "one", shared=True)
    assert await hold(holds, "two", shared=True)
    assert not await hold(holds, "three")
    holds.free(CONTACT, "one")
    assert not await hold(holds, "three")
    holds.free(CONTACT, "two")
    assert await hold(holds, "three")
    assert not await hold(holds, "one", shared=True)


async def test_shared_holds_are_granted_together() -> None:
    holds = ContactHolds[str]()
    await hold(holds, "one")
    waiting = [wait(holds, owner, shared=True) for owner in ("two", "three")]
    await asyncio.sleep(0)
    holds.free(CONTACT, "one")

    assert await asyncio.gather(*waiting) == [True, True]
    assert holds.owners(CONTACT) == ("two", "three")


async def test_second_free_has_no_effect() -> None:
    holds = ContactHolds[str]()
    await hold(holds, "one")
    holds.free(CONTACT, "one")
    await hold(holds, "two")
    holds.free(CONTACT, "one")

    assert holds.owners(CONTACT) == ("two",)


# -- Pauses of an agent that is not notified ---------------------------------------


class Context:
    def seconds_until(self, _time: object) -> float:
        return 600.0


def conflict(**members: object) -> LeaseConflictError:
    holder = {"agentId": "a", "agentName": "one", "expiresAt": "2026-03-01T12:30:00.000Z"}
    return LeaseConflictError({"code": "lease_conflict", "leaseHolder": holder, **members}, 409)


@pytest.mark.parametrize("members", [{"willNotify": True}, {}])
def test_notified_agent_waits_for_the_end_of_the_lease(members: dict[str, object]) -> None:
    pauses = Pauses(Context())  # type: ignore[arg-type]

    assert pauses.pause_after(conflict(**members)) > 600


def test_agent_that_is_not_notified_asks_again_with_backoff_and_jitter() -> None:
    runs = []
    for _ in range(20):
        pauses = Pauses(Context())  # type: ignore[arg-type]
        runs.append([pauses.pause_after(conflict(willNotify=False)) for _ in range(9)])

    for run in runs:
        for number, pause in enumerate(run):
            whole = min(PAUSE_SECONDS_MIN * 2**number, PAUSE_SECONDS_MAX)
            assert whole / 2 <= pause <= whole
    assert len({run[-1] for run in runs}) == len(runs)
