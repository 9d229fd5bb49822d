"""Every subscriber of the broker serves one operation, for one agent of one tenant."""

import re

import pytest
from faststream.nats import NatsBroker
from nats.aio.client import Client

from quorate.api.registry import NATS_OPERATIONS
from quorate.bus.asyncapi import described_broker
from quorate.bus.broker import ConnectionBroker, ReplyOnlyToCaller, create_broker
from quorate.bus.command_fast_lane import HOT_OPERATIONS
from quorate.bus.command_routes import CommandRoutes, NotACommandSubject
from quorate.bus.command_tasks import CommandTasks
from quorate.bus.nats_commands import NatsCommandHandler
from quorate.bus.publishers import LOG_NAME
from quorate.domain.registry import NOTIFICATION_NAMES

OPERATIONS = {endpoint.name for endpoint in NATS_OPERATIONS}
PUBLIC: set[str] = set()  # Subjects that may have a subscriber without tenant and agent.
COMMAND = re.compile(r"quorate\.{tenant}\.cmd\.{agent_id}\.(\w+)")


async def unreachable(_message: object) -> None:
    raise NotImplementedError


def serving_broker(fast_lane: frozenset[str] = frozenset()) -> ConnectionBroker:
    """Return the broker that serves commands, not started."""
    operations = NatsCommandHandler(None, None, NATS_OPERATIONS)  # type: ignore[arg-type]
    routes = CommandRoutes(Client(), unreachable)
    return create_broker(routes, CommandTasks(operations), operations, fast_lane)


def subject_templates(broker: NatsBroker) -> list[str]:
    return [one.subject.template for one in broker.subscribers]  # type: ignore[attr-defined]


def ungated(broker: NatsBroker) -> list[str]:
    """Return the subjects that are neither an operation of an agent nor public."""
    return [
        subject
        for subject in subject_templates(broker)
        if subject not in PUBLIC
        and not ((found := COMMAND.fullmatch(subject)) and found[1] in OPERATIONS)
    ]


@pytest.mark.parametrize("broker", [serving_broker(), described_broker(NATS_OPERATIONS)])
def test_every_subscriber_is_an_operation(broker: NatsBroker) -> None:
    assert ungated(broker) == []
    assert len(subject_templates(broker)) == len(OPERATIONS)


@pytest.mark.parametrize(
    "subject", ["quorate.cmd.heartbeat", "quorate.{tenant}.cmd.heartbeat", "quorate.>"]
)
async def test_subscriber_without_tenant_is_found(subject: str) -> None:
    broker = serving_broker()

    @broker.subscriber(subject, "quorate-commands")
    async def planted(_message: object) -> None:
        raise NotImplementedError

    assert ungated(broker) == [subject]
    with pytest.raises(NotACommandSubject):
        await broker.start()


def test_only_the_callers_inbox_is_answered() -> None:
    assert ReplyOnlyToCaller in serving_broker().middlewares


def test_fast_lane_serves_operations_that_have_no_subscriber() -> None:
    subjects = subject_templates(serving_broker(HOT_OPERATIONS))

    assert HOT_OPERATIONS < OPERATIONS
    assert {one.rpartition(".")[2] for one in subjects} == OPERATIONS - HOT_OPERATIONS


def test_publishers_are_the_notifications_and_the_log() -> None:
    names = {one.specification.name for one in described_broker(NATS_OPERATIONS).publishers}

    assert names == NOTIFICATION_NAMES | {LOG_NAME}
