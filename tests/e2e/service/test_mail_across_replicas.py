"""Mail sent at one replica is pushed to a recipient at another one, each message once."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence

import httpx2
import pytest

from tests.e2e.service.http_clients import Agent, Operator
from tests.e2e.service.nats_listener import Listener, wait_until
from tests.e2e.service.notification_readers import open_stream, read_all
from tests.e2e.service.replicas import Replicas, upgrade_schema
from tests.e2e.service.service_process import Json
from tests.support.postgres import PostgresServer

# nats-py does not close the socket of a lost connection.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

MESSAGES = 24
RECEIVED = "quorate.message_received"


@pytest.fixture(scope="module")
def replicas(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    """Replica A is the leader: it publishes for both."""
    url = postgres.empty_url()
    upgrade_schema(url)
    both = Replicas(tmp_path_factory.mktemp("replicas"), url, 2)
    try:
        both.start(one_by_one=True)
        yield both
    finally:
        both.end()


@pytest.fixture
async def here(replicas: Replicas) -> AsyncIterator[Operator]:
    operator = Operator(replicas.all[0])
    yield operator
    await operator.close()


@pytest.fixture
async def there(replicas: Replicas) -> AsyncIterator[Operator]:
    operator = Operator(replicas.all[1])
    yield operator
    await operator.close()


@pytest.fixture
async def ann(here: Operator) -> Agent:
    """The sender, at replica A."""
    return await (await here.create_tenant()).create_agent("ann")


@pytest.fixture
async def bob(ann: Agent, here: Operator, there: Operator) -> Agent:
    """The recipient, at replica B."""
    issued = await here.issue(ann.issued.tenant, "agent", "bob")
    await Agent(here, issued).register("bob")
    return Agent(there, issued)


async def send(sender: Agent, number: int) -> Json:
    body = {
        "to": [f"bob@{sender.issued.tenant}.agents.localhost"],
        "subject": "Hello",
        "body_text": f"number {number}",
    }
    headers = {"Idempotency-Key": f"message-{number}"}
    return await sender.request_ok("POST", "/email/send", body, headers=headers)


async def subscribe(agent: Agent) -> Listener:
    subject = f"quorate.{agent.issued.tenant}.agent.{agent.id}.message_received"
    return await agent.listen(subject, reconnects=True)


def texts(notifications: Sequence[Json]) -> list[str]:
    return [one["data"]["body_text"] for one in notifications if one["type"] == RECEIVED]


def pushed(listener: Listener) -> list[str]:
    """Return the texts over NATS, each event once: a publisher that was killed may repeat some."""
    unique = dict.fromkeys(message.data for message in listener.messages)
    return texts([json.loads(one) for one in unique])


async def test_message_is_pushed_to_a_recipient_at_the_other_replica(
    ann: Agent, bob: Agent
) -> None:
    listener = await subscribe(bob)
    async with open_stream(bob, last=0) as stream:
        sent = await send(ann, 1)
        frame: Json = {"type": None}
        while frame["type"] != RECEIVED:
            frame = json.loads((await stream.frame()).data)
    await wait_until(lambda: len(listener.messages) == 1)

    assert frame["data"]["message_id"] == sent["message_id"]
    assert json.loads(listener.messages[0].data) == frame
    assert texts(await read_all(bob)) == ["number 1"]


async def test_messages_sent_while_nats_is_away_are_pushed_when_it_is_back(
    replicas: Replicas, ann: Agent, bob: Agent
) -> None:
    listener = await subscribe(bob)
    expected = [f"number {number}" for number in range(3)]
    replicas.shared.nats.end()
    try:
        await listener.lost.wait()
        for number in range(3):
            await send(ann, number)
        assert texts(await read_all(bob)) == expected  # Over HTTP at once.
    finally:
        replicas.shared.nats.start()

    await wait_until(lambda: len(pushed(listener)) == len(expected))
    assert pushed(listener) == expected


async def test_each_message_arrives_once_when_its_replica_is_killed_after_the_commit(
    replicas: Replicas, ann: Agent, bob: Agent, there: Operator
) -> None:
    listener = await subscribe(bob)
    before = await read_all(bob)
    killed = asyncio.Event()

    async def send_and_kill(number: int) -> Json | None:
        try:
            sent = await send(ann, number)
        except httpx2.HTTPError:  # It may have been committed or not.
            return None
        if not killed.is_set():
            killed.set()
            replicas.all[0].kill()  # This one was committed, and perhaps not published.
        return sent

    answers = await asyncio.gather(*(send_and_kill(number) for number in range(MESSAGES)))
    survivor = Agent(there, ann.issued)
    again = [await send(survivor, number) for number in range(MESSAGES)]
    try:
        await wait_until(lambda: len(set(pushed(listener))) == MESSAGES)
        listed = (await read_all(bob))[len(before) :]
    finally:
        replicas.all[0].start()

    answered = [(one, repeated) for one, repeated in zip(answers, again, strict=True) if one]
    assert answered
    assert all(one["message_id"] == repeated["message_id"] for one, repeated in answered)
    expected = sorted(f"number {number}" for number in range(MESSAGES))
    assert sorted(texts(listed)) == expected
    sequences = [one["sequence"] for one in listed]
    assert sequences == sorted(set(sequences))
    assert pushed(listener) == texts(listed)  # In the order of the log.
