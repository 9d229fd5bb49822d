"""Every subscriber of the broker serves one operation, for one agent of one tenant.

Only the listed modules subscribe without the broker.
"""

import ast
import re
from collections import Counter

import pytest
from faststream.nats import NatsBroker, NatsRouter
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
from tests.architecture.source_tree import LAYERED, SERVER, layer_of, parse, path_name

OPERATIONS = {endpoint.name for endpoint in NATS_OPERATIONS}
PUBLIC: set[str] = set()  # Subjects that may have a subscriber without tenant and agent.
# The document names the id of the sender otherwise: a request may have a field ``agent_id``.
COMMAND = re.compile(r"quorate\.{tenant}\.cmd\.{(?:agent|sender)_id}\.(\w+)")
# Methods of FastStream and nats-py that subscribe, and the calls of the server, with the reason.
SUBSCRIBE = {"subscriber", "subscribe", "subscribe_bind", "pull_subscribe", "pull_subscribe_bind"}
CALLS = {
    "bus/subscribers.py": 1,  # The subscriber of each operation, checked below.
    "bus/command_routes.py": 1,  # The subscription that passes commands to the subscribers.
    "bus/auth/callout.py": 2,  # nats-server asks for permissions; agents cannot publish there.
    "bus/auth/connections.py": 3,  # nats-server reports connections; agents cannot publish there.
}


async def unreachable(_message: object) -> None:
    raise NotImplementedError


def serving_broker(fast_lane: frozenset[str] = frozenset()) -> ConnectionBroker:
    """Return the broker that serves commands, not started."""
    operations = NatsCommandHandler(None, None, NATS_OPERATIONS)  # type: ignore[arg-type]
    routes = CommandRoutes(Client(), unreachable, unreachable)
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


@pytest.mark.parametrize(
    "subject",
    [
        "quorate.*.cmd.*.heartbeat",  # The handler does not learn the tenant.
        "quorate.{tenant}.cmd.{agent_id}.planted",
        "quorate.{tenant}.cmd.{agent_id}.>",
        "planted",
    ],
)
@pytest.mark.parametrize("fast_lane", [frozenset(), HOT_OPERATIONS], ids=["all", "fast lane"])
def test_subscriber_in_a_router_is_found(subject: str, fast_lane: frozenset[str]) -> None:
    broker, router = serving_broker(fast_lane), NatsRouter()
    router.subscriber(subject)(unreachable)
    broker.include_router(router)

    assert ungated(broker) == [subject]


def subscribe_calls(tree: ast.Module) -> int:
    return sum(
        isinstance(node, ast.Attribute) and node.attr in SUBSCRIBE for node in ast.walk(tree)
    )


def test_only_the_listed_modules_subscribe() -> None:
    modules = [path for path in LAYERED if layer_of(path) in SERVER]
    found = Counter({path_name(path): subscribe_calls(parse(path)) for path in modules})

    assert +found == CALLS


@pytest.mark.parametrize(
    "source",
    [
        "async def f(client):\n    await client.subscribe('quorate.>')",
        "async def f(client):\n    await client.jetstream().pull_subscribe('quorate.>')",
        "begin = client.subscribe",
        "@broker.subscriber('quorate.>')\nasync def f(message): ...",
    ],
)
def test_planted_subscription_is_found(source: str) -> None:
    assert subscribe_calls(ast.parse(source)) == 1


def test_only_the_callers_inbox_is_answered() -> None:
    assert ReplyOnlyToCaller in serving_broker().middlewares


def test_fast_lane_serves_operations_that_have_no_subscriber() -> None:
    subjects = subject_templates(serving_broker(HOT_OPERATIONS))

    assert HOT_OPERATIONS < OPERATIONS
    assert {one.rpartition(".")[2] for one in subjects} == OPERATIONS - HOT_OPERATIONS


def test_publishers_are_the_notifications_and_the_log() -> None:
    names = {one.specification.name for one in described_broker(NATS_OPERATIONS).publishers}

    assert names == NOTIFICATION_NAMES | {LOG_NAME}
