"""One NATS subscription for the subscribers of all operations.

Why FastStream's subscribers share a subscription:

* Order. nats-py runs one task per subscription. With a subscription per operation, a release that
  an agent sends after a lease request could overtake it.
* One response per command. nats-server counts subscriptions with different subjects as one queue
  group. It would give a command at random to the subscriber of its operation or to the subscription
  that answers unknown operations.
* Limits. The embedded nats-server permits 64 subscriptions on a connection.
* Rolling upgrades. Every replica receives the same subjects, whatever operations its version has.

``CommandRoutes`` is the client that the broker's subscribers subscribe with. It receives all
commands and passes each one to the subscriber of its operation, or to ``default``. The agents take
turns (bus/fair_queue.py).
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from quorate.bus.fair_queue import FairQueue
from quorate.bus.subjects import COMMANDS, COMMANDS_OF_ALL_TENANTS

QUEUE = "quorate-commands"
_TOKENS_BEFORE = COMMANDS.template.count(".")  # The tokens of a subject before the operation.

Serve: TypeAlias = Callable[[Msg], Awaitable[Any]]


class NotACommandSubject(Exception):
    """A subscriber of the broker subscribes to something other than one operation."""


class Route:
    """Stands for the subscription of one operation."""

    def __init__(self, routes: dict[str, Serve], operation: str) -> None:
        self._routes = routes
        self._operation = operation

    async def unsubscribe(self) -> None:
        self._routes.pop(self._operation, None)


class CommandRoutes:
    """The part of a nats-py client that FastStream's broker and its subscribers use."""

    def __init__(self, client: Client, default: Serve, reject: Serve) -> None:
        """``reject`` gets a message of an agent of which too many wait already."""
        self._client = client
        self._default = default
        self._queue = FairQueue(self._serve, reject, _agent_of)
        self._routes: dict[str, Serve] = {}

    async def subscribe(self, subject: str, queue: str, cb: Serve, **_limits: int) -> Route:
        """Add the route of one operation; raises NotACommandSubject."""
        operation = subject.removeprefix(command_filter(""))
        if (subject, queue) != (command_filter(operation), QUEUE):
            raise NotACommandSubject(subject)
        self._routes[operation] = cb
        return Route(self._routes, operation)

    def jetstream(self, **options: Any) -> JetStreamContext:  # noqa: ANN401 - nats-py's options.
        return self._client.jetstream(**options)

    async def receive(self) -> Callable[[], Awaitable[None]]:
        """Subscribe to all commands; return the function that drains the subscription."""
        subscription = await self._client.subscribe(
            COMMANDS_OF_ALL_TENANTS, queue=QUEUE, cb=self._queue.pass_on
        )

        async def drain() -> None:
            await subscription.drain()  # type: ignore[no-untyped-call]
            await self._queue.wait_until_empty()

        return drain

    def close(self) -> None:
        self._queue.close()

    async def _serve(self, message: Msg) -> None:
        operation = message.subject.split(".", _TOKENS_BEFORE)[_TOKENS_BEFORE]
        await self._routes.get(operation, self._default)(message)


def command_filter(operation: str) -> str:
    """Return the subject of an operation's commands of all tenants and agents."""
    return COMMANDS.template.format(tenant="*", agent_id="*", name=operation)


def _agent_of(message: Msg) -> str:
    """Return the part of the subject that names the tenant and the agent."""
    return ".".join(message.subject.split(".", _TOKENS_BEFORE)[:_TOKENS_BEFORE])
