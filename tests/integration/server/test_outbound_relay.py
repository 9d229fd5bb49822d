"""Mail to people: attempts, retries, the send gate, and what a crash may repeat."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from quorate.application.mail import outbound
from quorate.application.mail.transport import Sent
from quorate.domain.identity.tenants import PauseTenant, ResumeTenant, SuspendTenant, UnpauseTenant
from quorate.domain.mail.delivery_attempts import DropDeadLetter, RetryDeadLetter
from quorate.domain.mail.messages import EraseMessage
from quorate.domain.mail.notifications import RULES
from quorate.domain.mail.settings import MailSettings, RetryPolicy
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.state import Command
from quorate.projections.mail import outgoing
from quorate.projections.mail.outgoing import OutgoingMail
from quorate.projections.snapshots import UNSIZED
from tests.conformance.eventlog.conformance import PLATFORMS, TENANT
from tests.integration.server.relay_stage import DOMAIN, RelayStage, ids, open_stage, parsed
from tests.integration.server.smtp_server import Misbehaviour, Reply, Step
from tests.unit.support.sample_commands import TENANT_KEY, acquire

KIM, LEE = "kim@example.com", "lee@example.org"
BUSY = "451 4.3.2 Come back later"
REPLIES = {
    Step.CONNECT: BUSY.replace("451", "421"),
    Step.EHLO: BUSY,
    Step.MAIL: BUSY,
    Step.RCPT: BUSY,
    Step.DATA: BUSY,
    Step.END: BUSY,
}


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "RETRY_SECONDS", 0.02)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[RelayStage]:
    async with open_stage("sqlite", tmp_path) as stage:
        yield stage


@pytest.fixture(params=sorted(PLATFORMS))
async def any_stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RelayStage]:
    async with open_stage(request.param, tmp_path) as stage:
        yield stage


async def test_queued_message_is_relayed(any_stage: RelayStage) -> None:
    any_stage.start()
    sent = await any_stage.send(KIM, subject="Grüße", text="Hi Kim.\n")

    (accepted,) = await any_stage.smtp.received(1)
    message = parsed(accepted)
    delivery = await any_stage.reaches("relayed", sent)

    assert (accepted.sender, accepted.recipients) == (f"ann@{DOMAIN}", (KIM,))
    assert message["Message-ID"] == f"<{sent}@{DOMAIN}>"
    assert (message["Subject"], message["To"]) == ("Grüße", KIM)
    assert message.get_content().replace("\r\n", "\n") == "Hi Kim.\n"
    assert (delivery.attempts, delivery.smtp_code) == (1, 250)


async def test_message_queued_before_the_start_is_relayed(any_stage: RelayStage) -> None:
    sent = await any_stage.send(KIM)

    any_stage.start()

    await any_stage.reaches("relayed", sent)


@pytest.mark.parametrize("step", REPLIES, ids=lambda step: step.name)
async def test_temporary_failure_is_retried_with_the_same_message(
    stage: RelayStage, step: Step
) -> None:
    stage.smtp.script[step] = Reply(REPLIES[step])
    stage.start()
    sent = await stage.send(KIM)
    deferred = await stage.reaches("deferred", sent)
    assert deferred.attempts == 1
    assert deferred.next_attempt_at == stage.clock.now + 60_000
    stage.smtp.script.clear()

    stage.move(minutes=1)

    relayed = await stage.reaches("relayed", sent)
    assert relayed.attempts == 2
    assert ids(stage.smtp.messages) == [f"<{sent}@{DOMAIN}>"]


@pytest.mark.parametrize("step", [Step.MAIL, Step.RCPT, Step.DATA, Step.END], ids=lambda s: s.name)
async def test_permanent_failure_bounces_at_once(stage: RelayStage, step: Step) -> None:
    stage.smtp.script[step] = Reply("550 5.1.1 No such user")
    stage.start()

    sent = await stage.send(KIM)

    bounced = await stage.reaches("bounced", sent)
    assert (bounced.attempts, bounced.smtp_code, bounced.next_attempt_at) == (1, 550, None)
    assert "No such user" in str(bounced.detail)
    assert stage.smtp.messages == []


@pytest.mark.parametrize(
    ("step", "misbehaviour", "copies"),
    [
        (Step.CONNECT, Misbehaviour.HANG, 1),
        (Step.RCPT, Misbehaviour.DROP, 1),
        (Step.BODY, Misbehaviour.HANG, 1),
        (Step.BODY, Misbehaviour.DROP, 1),
        (Step.END, Misbehaviour.HANG, 1),
        (Step.END, Misbehaviour.ACCEPT_THEN_DROP, 2),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_relay_that_hangs_or_drops_loses_nothing(
    stage: RelayStage, step: Step, misbehaviour: Misbehaviour, copies: int
) -> None:
    stage.smtp.script[step] = misbehaviour
    stage.start()
    sent = await stage.send(KIM)
    await stage.reaches("deferred", sent)
    stage.smtp.script.clear()

    stage.move(minutes=1)

    await stage.reaches("relayed", sent)
    assert ids(stage.smtp.messages) == [f"<{sent}@{DOMAIN}>"] * copies
    assert len({one.data for one in stage.smtp.messages}) == 1


async def test_waits_double_and_a_dead_letter_follows(stage: RelayStage) -> None:
    stage.policy = RetryPolicy(seconds_min=60, seconds_max=600, hours=1)
    stage.smtp.script[Step.RCPT] = Reply(BUSY)
    stage.start()
    sent = await stage.send(KIM)
    waits = []
    for attempt in range(1, 9):
        await stage.has("MessageDeferred", attempt)
        next_at = (await stage.delivery(sent)).next_attempt_at or 0
        waits.append((next_at - stage.clock.now) / 60_000)
        stage.move(milliseconds=next_at - stage.clock.now)
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10]

    dead = await stage.reaches("dead_lettered", sent)

    assert (dead.attempts, dead.next_attempt_at, dead.smtp_code) == (9, None, 451)
    listed = await stage.reader.deliveries(TENANT, "", 10, "dead_lettered", UNSIZED)
    assert [one.id for one in listed.found] == [f"{sent}.0"]
    (row,) = [one for one in await stage.events(TENANT) if one.type == "MessageDeadLettered"]
    (told,) = RULES[row.type].notify(orjson.loads(row.data))
    assert told.data["status"] == "dead_lettered"


async def test_dead_letter_is_retried_or_dropped(stage: RelayStage) -> None:
    stage.policy = RetryPolicy(hours=0)
    stage.smtp.script[Step.RCPT] = Reply(BUSY)
    stage.start()
    first, second = await stage.send(KIM), await stage.send(LEE)
    for one in (first, second):
        await stage.reaches("dead_lettered", one)
    stage.smtp.script.clear()

    await stage.execute_quietly(
        RetryDeadLetter(message_id=first, delivery_id=f"{first}.0"),
        DropDeadLetter(message_id=second, delivery_id=f"{second}.0"),
    )

    await stage.reaches("relayed", first)
    assert (await stage.delivery(second)).status == "dropped"
    assert ids(stage.smtp.messages) == [f"<{first}@{DOMAIN}>"]


async def test_lease_granted_after_queueing_blocks_and_notifies(stage: RelayStage) -> None:
    sent = await stage.send(KIM)
    await stage.execute_quietly(acquire("bob", contact=EmailAddress(email=KIM, key=KIM)))

    stage.start()

    (blocked,) = await stage.has("MessageBlocked")
    told = RULES["MessageBlocked"].notify(blocked)
    assert (blocked["reason"], blocked["holderId"]) == ("lease_conflict", "agent_bob")
    assert {one.name for one in told} == {"message_status", "send_blocked"}
    assert (await stage.delivery(sent)).status == "blocked"
    assert stage.smtp.messages == []


async def test_each_recipient_has_its_own_outcome(stage: RelayStage) -> None:
    people = [f"person{number}@example.com" for number in range(10)]
    stage.smtp.rejected = {people[3]: "550 5.1.1 Unknown", people[7]: "450 4.2.1 Mailbox busy"}
    stage.start()

    sent = await stage.send(*people)

    expected = ["relayed"] * 10
    expected[3], expected[7] = "bounced", "deferred"
    for number, status in enumerate(expected):
        await stage.reaches(status, sent, number)
    accepted = sorted(one.recipients for one in stage.smtp.messages)
    assert accepted == [(one,) for one in people if one not in stage.smtp.rejected]
    assert set(ids(stage.smtp.messages)) == {f"<{sent}@{DOMAIN}>"}


async def test_reply_names_the_earlier_messages(stage: RelayStage) -> None:
    stage.start()
    first = await stage.send(KIM)
    second = await stage.send(KIM, in_reply_to=first)
    third = await stage.send(KIM, in_reply_to=first)
    for one in (first, second, third):
        await stage.reaches("relayed", one)

    by_id = {str(parsed(one)["Message-ID"]): parsed(one) for one in stage.smtp.messages}

    reply = by_id[f"<{third}@{DOMAIN}>"]
    assert by_id[f"<{first}@{DOMAIN}>"]["References"] is None
    assert reply["In-Reply-To"] == f"<{first}@{DOMAIN}>"
    assert str(reply["References"]).split() == [f"<{second}@{DOMAIN}>", f"<{first}@{DOMAIN}>"]


async def test_erased_body_is_not_sent(stage: RelayStage) -> None:
    sent = await stage.send(KIM)
    await stage.execute_quietly(EraseMessage(caller=TENANT_KEY, message_id=sent))

    stage.start()

    cancelled = await stage.reaches("cancelled", sent)
    assert (cancelled.detail, cancelled.attempts, cancelled.next_attempt_at) == ("erased", 0, None)
    assert stage.smtp.messages == []
    found = (await stage.reader.message(TENANT, sent, None)).found
    assert found is not None
    assert [(one.status, one.reason) for one in found.message.recipients] == [
        ("cancelled", "erased")
    ]


async def test_text_of_an_agent_adds_no_header(stage: RelayStage) -> None:
    stage.start()
    sent = await stage.send(KIM, subject="x\r\nBcc: eve@example.com", text="\r\nBcc: e\r\n.\r\n")
    bounced = await stage.reaches("bounced", sent)
    assert "line break" in str(bounced.detail)

    await stage.send(KIM, text="\r\n.\r\nMAIL FROM:<eve@example.com>\r\n")

    (accepted,) = await stage.smtp.received(1)
    assert accepted.recipients == (KIM,)
    assert parsed(accepted)["Bcc"] is None
    assert "MAIL FROM:<eve@example.com>" in parsed(accepted).get_content()


async def test_held_messages_are_queued_by_a_relay(stage: RelayStage) -> None:
    stage.settings = MailSettings(domain=DOMAIN, has_relay=False)
    held = [await stage.send(KIM) for _ in range(3)]
    assert (await stage.delivery(held[0])).status == "held"

    stage.start()

    for one in held:
        await stage.reaches("relayed", one)
    late = await stage.send(LEE)  # Another process still has no relay.
    await stage.reaches("relayed", late)


@pytest.mark.parametrize(
    ("stop", "resume"),
    [
        (SuspendTenant(tenant_id=TENANT), ResumeTenant(tenant_id=TENANT)),
        (PauseTenant(tenant_id=TENANT), UnpauseTenant(tenant_id=TENANT)),
    ],
    ids=["suspended", "paused"],
)
async def test_mail_of_a_stopped_tenant_waits(
    any_stage: RelayStage, stop: Command, resume: Command
) -> None:
    sent = await any_stage.send(KIM)
    await any_stage.execute_quietly(stop)
    assert await OutgoingMail(any_stage.log).due(any_stage.clock.now, (), 10) == []
    any_stage.start()

    await any_stage.execute_quietly(resume)

    await any_stage.reaches("relayed", sent)


class SlowDomain:
    """A transport on which messages to one domain hang until they are released."""

    def __init__(self, domain: str) -> None:
        self._domain = domain
        self.released = asyncio.Event()
        self.hanging = 0

    async def send(self, _message: bytes, *, sender: str, recipient: str) -> Sent:
        assert sender
        if recipient.endswith(self._domain):
            self.hanging += 1
            await self.released.wait()
            self.hanging -= 1
        return Sent(code=250, detail="Queued")


@pytest.mark.parametrize("window", [outgoing.WINDOW_MAX, 8])
async def test_slow_domain_does_not_stop_the_others(
    any_stage: RelayStage, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outgoing, "WINDOW_MAX", window)
    transport = SlowDomain("@slow.example")
    waiting = [await any_stage.send(f"kim{number}@slow.example") for number in range(40)]
    any_stage.start(transport=transport)

    quick = await any_stage.send(LEE)

    await any_stage.reaches("relayed", quick)
    assert transport.hanging == outbound.ATTEMPTS_PER_DOMAIN_MAX
    transport.released.set()
    for one in waiting:
        await any_stage.reaches("relayed", one)


POINTS = {
    ("before", "BeginDelivery"): 1,
    ("after", "BeginDelivery"): 1,
    ("before", "SMTP"): 1,
    ("after", "SMTP"): 2,
    ("before", "RecordRelayed"): 2,
    ("after", "RecordRelayed"): 1,
}


@pytest.mark.parametrize("point", POINTS, ids=" ".join)
async def test_end_of_the_process_repeats_only_what_was_not_recorded(
    stage: RelayStage, point: tuple[str, str]
) -> None:
    stopped = stage.start(stop=point)
    sent = await stage.send(KIM)
    async with asyncio.timeout(30):
        await stopped.reached.wait()

    await stage.restart()
    stage.start()

    await stage.reaches("relayed", sent)
    assert ids(stage.smtp.messages) == [f"<{sent}@{DOMAIN}>"] * POINTS[point]


async def test_unavailable_log_after_the_acceptance_sends_nothing_twice(
    stage: RelayStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = stage.start(stop=("before", "RecordRelayed"))
    sent = await stage.send(KIM)
    async with asyncio.timeout(30):
        await stopped.reached.wait()
    await stage.stop()  # The leadership ended; the process lives on and leads again.
    monkeypatch.setattr(stopped, "_stop", None)
    stage.database.fail_before_commit = 3

    stage.lead()

    await stage.reaches("relayed", sent)
    assert stage.database.fail_before_commit == 0
    assert len(stage.smtp.messages) == 1
    assert (await stage.types(TENANT)).count("MessageRelayed") == 1


async def test_lost_acknowledgement_counts_one_failure(stage: RelayStage) -> None:
    stage.smtp.script[Step.RCPT] = Reply(BUSY)
    sent = await stage.send(KIM)
    stopped = stage.start(stop=("before", "RecordFailure"))
    async with asyncio.timeout(30):
        await stopped.reached.wait()
    await stage.stop()
    stopped._stop = None
    stage.database.fail_after_commit = 1

    stage.lead()

    deferred = await stage.reaches("deferred", sent)
    await stage.stop()
    assert deferred.attempts == 1
    assert (await stage.types(TENANT)).count("MessageDeferred") == 1
