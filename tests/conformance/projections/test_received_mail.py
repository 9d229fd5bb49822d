"""A message from outside is found by its Message-ID, and copies reach further recipients."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from quorate.application.mail.sending import make_contents
from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.receiving import DeliverReceived, ReceiveMessage
from quorate.domain.mail.settings import MailSettings
from quorate.eventlog.envelopes import Accepted
from quorate.projections.mail.inbound import ReceivedIds
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import (
    DATABASES,
    ProjectionStage,
    open_stage,
)

KIM, DOMAIN, RFC_ID = "kim@example.com", "acme.test", "1@example.com"
MESSAGE = "msg_1"


@pytest.fixture(params=DATABASES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage(request.param, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid")
        yield stage


def receive(*names: str, message_id: str = MESSAGE) -> ReceiveMessage:
    return ReceiveMessage(
        recipients=parse_recipients([f"{one}@{DOMAIN}" for one in names], (), DOMAIN, str.lower),
        from_address=KIM,
        to=(f"ann@{DOMAIN}",),
        cc=(),
        subject="Hello",
        body=make_contents(message_id, {"text": "Hi."}),
        settings=MailSettings(domain=DOMAIN),
        new_message_id=message_id,
        new_thread_id="thr_1",
        rfc_message_id=RFC_ID,
    )


def deliver(*names: str) -> DeliverReceived:
    return DeliverReceived(
        recipients=parse_recipients([f"{one}@{DOMAIN}" for one in names], (), DOMAIN, str.lower),
        from_address=KIM,
        message_id=MESSAGE,
    )


async def result(stage: ProjectionStage, command: ReceiveMessage | DeliverReceived) -> Any:  # noqa: ANN401
    answer = await stage.submit(
        command,
        render=lambda found: orjson.dumps(
            [found.message_id, found.accepted, [one.reason for one in found.rejected]]
        ),
    )
    assert isinstance(answer, Accepted)
    return orjson.loads(answer.body)


async def test_received_message_is_found_in_its_tenant_only(stage: ProjectionStage) -> None:
    await result(stage, receive("ann"))
    ids = ReceivedIds(stage.log)

    assert await ids.find(TENANT, [RFC_ID, "2@example.com"]) == {RFC_ID: MESSAGE}
    assert await ids.find(OTHER_TENANT, [RFC_ID]) == {}
    assert await ids.find(TENANT, []) == {}


async def test_copy_reaches_only_agents_without_the_message(stage: ProjectionStage) -> None:
    assert await result(stage, receive("ann")) == [MESSAGE, [f"ann@{DOMAIN}"], []]
    assert await result(stage, receive("bob", message_id="msg_2")) == [MESSAGE, [], []]

    found = await result(stage, deliver("ann", "bob", "eve"))

    assert found == [MESSAGE, [f"ann@{DOMAIN}", f"bob@{DOMAIN}"], ["no_such_agent"]]
    delivered = [
        orjson.loads(one.data)["agentId"]
        for one in await stage.events(TENANT)
        if one.type == "MessageDelivered"
    ]
    assert delivered == ["agent_ann", "agent_bob"]
    assert await result(stage, deliver("bob")) == [MESSAGE, [f"bob@{DOMAIN}"], []]
