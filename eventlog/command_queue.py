"""The line at the door: who waits, and who goes next.

* Those that came first go first. When more wait than one batch takes, an urgent order goes ahead
  of those that came before it: a lease must not be lost behind a crowd that wants new ones.
* Nobody waits without end: an order is overtaken by urgent ones that came among the next
  ORDERS_MAX after it, and by no later one.
* What one agent asked for in turn is not put into another order. It may have sent several commands
  over NATS without waiting for the answers, and mean the second to follow on the first.
* There are ORDERS_MAX places, and the last URGENT_PLACES of them are for urgent orders.
"""

from asyncio import Future
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from quorate.eventlog.envelopes import CommandEnvelope, CommandResult

BATCH_COMMANDS_MAX = 512
QUEUE_COMMANDS_MAX = 20_000
URGENT_CAPACITY = 2_000
QueuedCommand: TypeAlias = "tuple[CommandEnvelope, Future[CommandResult]]"
# A number, by which the lower goes first, and who waits.
_Numbered: TypeAlias = tuple[int, QueuedCommand]


class CommandQueue:
    def __init__(
        self,
        *,
        batch_commands_max: int = BATCH_COMMANDS_MAX,
        queue_commands_max: int = QUEUE_COMMANDS_MAX,
        urgent_capacity: int = URGENT_CAPACITY,
    ) -> None:
        self._batch = batch_commands_max
        self._places = queue_commands_max
        self._places_of_all = queue_commands_max - urgent_capacity
        self._came = 0
        self._in_line: deque[_Numbered] = deque()
        self._ahead: deque[_Numbered] = deque()
        self._own: Counter[str] = Counter()  # How many each agent has in line.

    def __len__(self) -> int:
        return len(self._in_line) + len(self._ahead)

    def has_capacity_for(self, order: CommandEnvelope) -> bool:
        return len(self) < (self._places if order.urgent else self._places_of_all)

    def enqueue(self, waiting: QueuedCommand) -> None:
        self._came += 1
        order = waiting[0]
        if order.urgent and len(self._in_line) >= self._batch and not self._own.get(_agent(order)):
            self._ahead.append((self._came - self._places, waiting))
            return
        self._in_line.append((self._came, waiting))
        if order.in_turn:
            self._own[order.actor] += 1

    def take_batch(self) -> Sequence[QueuedCommand]:
        return [self._next() for _ in range(min(len(self), self._batch))]

    def has_full_batch(self) -> bool:
        """Whether as many wait as one batch takes."""
        return len(self) >= self._batch

    def drain(self) -> Iterable[QueuedCommand]:
        """Everybody goes, unheard."""
        waiting = [one for _, one in (*self._ahead, *self._in_line)]
        self._ahead.clear()
        self._in_line.clear()
        self._own.clear()
        return waiting

    def _next(self) -> QueuedCommand:
        if self._ahead and (not self._in_line or self._ahead[0][0] < self._in_line[0][0]):
            return self._ahead.popleft()[1]
        _, waiting = self._in_line.popleft()
        order = waiting[0]
        if order.in_turn:
            self._own[order.actor] -= 1
            if not self._own[order.actor]:
                del self._own[order.actor]
        return waiting


def _agent(order: CommandEnvelope) -> str:
    """Whose orders keep their order; nobody's, where it does not matter."""
    return order.actor if order.in_turn else ""
