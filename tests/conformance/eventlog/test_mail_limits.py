"""Limits of mail are exact to the last message, however many requests and replicas compete."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from quorate.domain.mail.messages import Message
from quorate.domain.mail.settings import MailSettings, SendingLimit, SendingLimits
from quorate.domain.shared.quotas import Quotas
from quorate.domain.shared.state import Command
from quorate.eventlog.envelopes import Accepted, CommandResult
from tests.conformance.eventlog.conformance import Key, Postgres, Stage, body
from tests.unit.support.sample_mail import DOMAIN, erase, mail

LIMIT, TRIED = 7, 20
LIMITS = SendingLimits(active=SendingLimit(hourly=LIMIT, daily=LIMIT))
SETTINGS = MailSettings(domain=DOMAIN, limits=LIMITS)
TEXT = "x" * 100


def mails(*senders: str, settings: MailSettings = SETTINGS) -> list[Command]:
    return [
        mail(sender, "bob", message=f"msg_{sender}{number}", text=TEXT, settings=settings)
        for number in range(TRIED)
        for sender in senders
    ]


async def outcomes(stages: Sequence[Stage], commands: Sequence[Command]) -> Counter[str]:
    """Submit the commands at once, in turn to each replica; count the results."""
    results: Sequence[CommandResult] = await asyncio.gather(
        *(stages[place % len(stages)].submit(one) for place, one in enumerate(commands))
    )
    return Counter("accepted" if isinstance(one, Accepted) else one.code for one in results)


async def stored(stage: Stage, event: str) -> int:
    return Counter(await stage.types())[event]


async def test_sending_limit_holds_for_each_sender(stage: Stage) -> None:
    await stage.create_agents("ann", "bob", "cat")
    found = await outcomes([stage], mails("ann", "cat"))
    assert found == {"accepted": 2 * LIMIT, "rate_limit_exceeded": 2 * (TRIED - LIMIT)}
    assert await stored(stage, "MessageDelivered") == 2 * LIMIT


async def test_mailbox_quota_holds_for_all_senders_together(stage: Stage) -> None:
    stage.quotas = Quotas(mailbox_bytes_per_agent=LIMIT * len(TEXT) + 1)
    await stage.restart()
    await stage.create_agents("ann", "bob", "cat")
    unlimited = MailSettings(domain=DOMAIN)
    found = await outcomes([stage], mails("ann", "cat", settings=unlimited))
    assert found == {"accepted": LIMIT, "quota_exceeded": 2 * TRIED - LIMIT}


async def test_quota_of_a_tenant_frees_the_bytes_of_erased_mail(stage: Stage) -> None:
    stage.quotas = Quotas(mailbox_bytes=LIMIT * len(TEXT))
    await stage.restart()
    await stage.create_agents("ann", "bob")
    unlimited = MailSettings(domain=DOMAIN)
    commands = mails("ann", settings=unlimited)
    assert (await outcomes([stage], commands))["accepted"] == LIMIT
    await stage.execute(erase("msg_ann0"))
    again = [mail("ann", "bob", message=f"msg_new{n}", text=TEXT) for n in range(3)]
    assert (await outcomes([stage], again))["accepted"] == 1


def sent(message: Message) -> bytes:
    return b'{"id":"%s"}' % message.id.encode()


async def test_repeated_request_has_the_first_id_and_is_delivered_once(stage: Stage) -> None:
    await stage.create_agents("ann", "bob")
    key = Key(key="once")
    results = await asyncio.gather(*(send_again(stage, number, key) for number in range(8)))
    await stage.restart()
    results.append(await send_again(stage, 9, key))
    assert len({body(one)["id"] for one in results}) == 1
    assert sum(not one.replayed for one in results if isinstance(one, Accepted)) == 1
    assert await stored(stage, "MessageDelivered") == 1


async def send_again(stage: Stage, number: int, key: Key) -> CommandResult:
    """Each repetition has a new message id, as a handler makes one for each request."""
    command = mail("bob", "ann", message=f"msg_{number}", settings=SETTINGS)
    return await stage.submit(command, key=key, render=sent)


async def test_two_replicas_keep_the_limit_together(tmp_path: Path) -> None:
    platform = Postgres(tmp_path)
    replicas = [Stage(platform), Stage(platform)]
    replicas[1].event_ids = replicas[0].event_ids
    replicas[1].command_ids = replicas[0].command_ids
    replicas[1]._build()
    for replica in replicas:
        await replica.open()
    try:
        await replicas[0].create_agents("ann", "bob", "cat")
        found = await outcomes(replicas, mails("ann", "cat"))
        assert found == {"accepted": 2 * LIMIT, "rate_limit_exceeded": 2 * (TRIED - LIMIT)}
        assert await stored(replicas[1], "MessageDelivered") == 2 * LIMIT

        key = Key(key="once")
        results = await asyncio.gather(*(send_again(replicas[n % 2], n, key) for n in range(8)))
        assert len({body(one)["id"] for one in results}) == 1
        assert await stored(replicas[0], "MessageDelivered") == 2 * LIMIT + 1
    finally:
        for replica in replicas:
            await replica.close()
