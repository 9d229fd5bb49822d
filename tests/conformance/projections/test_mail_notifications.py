"""Notifications of mail on every database: bodies, statuses and missing acknowledgements."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from quorate.bus.cloudevents import notification_messages
from quorate.domain.mail.notifications import NOTIFIED_BODY_BYTES_MAX
from quorate.domain.shared.state import Command
from quorate.eventlog import pages
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, ProjectionStage, open_stage
from tests.unit.support.sample_commands import KIM, acquire, heartbeat, id_of
from tests.unit.support.sample_mail_commands import (
    ACK_MINUTES,
    acknowledge,
    address_of,
    delete,
    erase,
    read,
    send,
)

ALL = 1_000
LONGEST = "\N{BLACK HEART SUIT}" * (NOTIFIED_BODY_BYTES_MAX // 3) + "x"
MAIL_NAMES = {"message_received", "message_status", "acknowledgement_due", "send_blocked"}


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid")
        yield stage


async def notified(
    stage: ProjectionStage, name: str, tenant: str = TENANT
) -> list[tuple[str, dict[str, Any]]]:
    """Return name and data of all notifications of mail for one agent, in order."""
    page = await stage.notifications.page(tenant, id_of(name), 0, ALL)
    assert page.next == page.head
    return [
        (message.notification.name, json.loads(message.body)["data"])
        for event in page.events
        for message in notification_messages(event)
        if message.notification.is_for(id_of(name)) and message.notification.name in MAIL_NAMES
    ]


async def bodies(stage: ProjectionStage, name: str = "bob", tenant: str = TENANT) -> list[Any]:
    return [data["body_text"] for _, data in await notified(stage, name, tenant)]


async def statuses(stage: ProjectionStage, name: str = "ann") -> list[Any]:
    """Return the statuses of which an agent is notified; it must not receive anything else."""
    found = await notified(stage, name)
    assert {each for each, _ in found} <= {"message_status"}
    return [data["status"] for _, data in found]


# -- Bodies --------------------------------------------------------------------


async def test_message_is_notified_with_its_body_to_its_recipients_only(
    stage: ProjectionStage,
) -> None:
    await stage.create_agents("bob", tenant=OTHER_TENANT)
    await stage.execute(send("ann", "bob", text="h\u00e9llo"))
    [(name, data)] = await notified(stage, "bob")

    assert (name, data["body_text"], data["from_address"]) == (
        "message_received",
        "h\u00e9llo",
        address_of("ann"),
    )
    for other in ("ann", "cid"):
        assert await notified(stage, other) == []
    assert await notified(stage, "bob", OTHER_TENANT) == []


@pytest.mark.parametrize(
    ("text", "html", "body"),
    [
        (LONGEST, None, LONGEST),
        (LONGEST + "x", None, None),
        ("short", "<p>" + LONGEST, "short"),
        ("", "<p>html only", ""),
        (None, "<p>html only", None),
    ],
    ids=["longest", "too long", "long html", "empty text", "no text"],
)
async def test_text_of_up_to_16_kib_is_included(
    stage: ProjectionStage, text: str | None, html: str | None, body: str | None
) -> None:
    assert len(LONGEST.encode()) == 16 * 1_024
    await stage.execute(send("ann", "bob", text=text, html=html))

    assert await bodies(stage) == [body]


async def test_erased_body_is_not_sent_any_more(stage: ProjectionStage) -> None:
    await stage.execute(send("ann", "bob"), send("ann", "bob", message="msg_2"))
    before = await stage.notifications.add_bodies(await stage.events(TENANT))
    await stage.execute(erase())
    after = await stage.notifications.add_bodies(await stage.events(TENANT))

    assert await bodies(stage) == [None, "hello"]
    assert [row.body_text for row in before if row.body_text] == ["hello", "hello"]
    assert [row.body_text for row in after if row.body_text] == ["hello"]
    assert [row.hash for row in after[: len(before)]] == [row.hash for row in before]


async def test_batch_of_several_tenants_has_the_bodies_of_each(stage: ProjectionStage) -> None:
    await stage.create_agents("ann", "bob", tenant=OTHER_TENANT)
    await stage.execute(send("ann", "bob", "cid"))
    await stage.execute(send("ann", "bob", text="other"), tenant=OTHER_TENANT)
    rows = await stage.notifications.add_bodies(await stage.events())

    found = [(row.tenant, row.body_text) for row in rows if row.type == "MessageDelivered"]
    assert found == [(TENANT, "hello"), (TENANT, "hello"), (OTHER_TENANT, "other")]


async def test_batch_without_messages_reads_nothing(stage: ProjectionStage) -> None:
    rows = await stage.events()
    await stage.log.close()
    try:
        assert await stage.notifications.add_bodies(rows) is rows
    finally:
        await stage.restart()


async def test_page_counts_the_bodies(stage: ProjectionStage) -> None:
    count = pages.NATS_PAGE_BYTES_MAX // NOTIFIED_BODY_BYTES_MAX + 10
    await stage.execute(
        *(send("ann", "bob", message=f"msg_{number}", text=LONGEST) for number in range(count))
    )
    sizes, after = list[int](), await first_message(stage)
    while True:
        page = await stage.notifications.page(TENANT, id_of("bob"), after, ALL)
        assert all(event.body_text == LONGEST for event in page.events)
        sizes.append(len(page.events))
        after = page.next
        if after == page.head:
            break

    assert sum(sizes) == count
    assert len(sizes) == 2
    assert max(sizes) * NOTIFIED_BODY_BYTES_MAX <= pages.NATS_PAGE_BYTES_MAX


async def first_message(stage: ProjectionStage) -> int:
    """Return the sequence before the first message."""
    return min(e.sequence for e in await stage.events(TENANT) if e.type == "MessageSent") - 1


# -- Statuses ------------------------------------------------------------------


@pytest.mark.parametrize("ack_required", [True, False])
async def test_sender_is_notified_of_the_reading_only_if_it_asked(
    stage: ProjectionStage, ack_required: bool
) -> None:
    await stage.execute(send("ann", "bob", ack_required=ack_required), read("bob"))

    assert await statuses(stage) == (["read"] if ack_required else [])


async def test_sender_is_notified_once_of_the_acknowledgement(stage: ProjectionStage) -> None:
    await stage.execute(
        send("ann", "bob", ack_required=True), acknowledge("bob"), acknowledge("bob")
    )
    found = await notified(stage, "ann")

    assert [data["status"] for _, data in found].count("acknowledged") == 1
    assert {data["by_agent_id"] for _, data in found} == {id_of("bob")}


async def test_unknown_internal_address_bounces(stage: ProjectionStage) -> None:
    await stage.execute(send("ann", "nobody", "bob"))
    [(_, data)] = await notified(stage, "ann")

    assert (data["status"], data["address"], data["reason"]) == (
        "bounced",
        address_of("nobody"),
        "no_such_agent",
    )
    assert await bodies(stage) == ["hello"]


async def test_holder_of_a_contact_learns_of_the_block_but_nothing_of_the_message(
    stage: ProjectionStage,
) -> None:
    secret = "A secret subject"
    await stage.execute(acquire("cid"), send("ann", KIM.email, subject=secret, text=secret))
    [(_, to_sender)] = await notified(stage, "ann")
    [(name, to_holder)] = await notified(stage, "cid")

    assert (to_sender["status"], to_sender["reason"]) == ("blocked", "lease_conflict")
    assert (name, to_holder["contactEmail"]) == ("send_blocked", KIM.email)
    assert to_holder["leaseHolder"]["agentId"] == id_of("cid")
    assert secret not in json.dumps(to_holder)


# -- Missing acknowledgements ----------------------------------------------------


async def overdue_entries(stage: ProjectionStage) -> Sequence[Command]:
    """Return the passed deadlines of acknowledgements, as the scheduler finds them."""
    found = [one.command for one in await stage.find_due()]
    return [one for one in found if one.aggregate == "mail_entry"]


async def pass_minutes(stage: ProjectionStage, minutes: float, milliseconds: int = 0) -> None:
    """Let time pass; the agents remain active."""
    stage.clock.move(minutes=minutes, milliseconds=milliseconds)
    await stage.execute(*(heartbeat(name) for name in ("ann", "bob", "cid")))


async def test_missing_acknowledgement_reminds_the_recipient_then_notifies_the_sender(
    stage: ProjectionStage,
) -> None:
    await stage.execute(send("ann", "bob", "cid", subject="Sign", ack_required=True))
    await stage.execute(acknowledge("cid"))
    await pass_minutes(stage, ACK_MINUTES, milliseconds=-1)
    assert await overdue_entries(stage) == []

    await pass_minutes(stage, 0, milliseconds=1)
    assert len(await overdue_entries(stage)) == 1
    await stage.record_due()
    assert await overdue_entries(stage) == []
    names = [name for name, _ in await notified(stage, "bob")]
    assert names == ["message_received", "acknowledgement_due"]
    assert (await notified(stage, "bob"))[-1][1] == {
        "message_id": "msg_1",
        "subject": "Sign",
        "from_address": address_of("ann"),
    }
    assert await statuses(stage) == ["read", "acknowledged"], "of the other recipient"

    await pass_minutes(stage, ACK_MINUTES)
    await stage.record_due()
    assert await statuses(stage) == ["read", "acknowledged", "ack_overdue"]
    assert [name for name, _ in await notified(stage, "bob")] == names, "it is reminded once"

    await pass_minutes(stage, 10 * ACK_MINUTES)
    assert await overdue_entries(stage) == []


@pytest.mark.parametrize("end", [acknowledge, delete])
async def test_acknowledged_and_deleted_messages_are_not_overdue(
    stage: ProjectionStage,
    end: Any,  # noqa: ANN401 - makes a command.
) -> None:
    await stage.execute(send("ann", "bob", ack_required=True), end("bob"))
    await pass_minutes(stage, ACK_MINUTES)

    assert await overdue_entries(stage) == []


async def test_message_without_a_required_acknowledgement_is_never_overdue(
    stage: ProjectionStage,
) -> None:
    await stage.execute(send("ann", "bob"))
    await pass_minutes(stage, 10 * ACK_MINUTES)

    assert await overdue_entries(stage) == []
