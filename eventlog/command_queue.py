"""Bounded priority queue of commands that wait for the next transaction.

* Commands are taken first in, first out. When more wait than one batch takes, an urgent command
  overtakes the others: a heartbeat or release must not be lost behind many new leases.
* Waiting is bounded: a command is overtaken only by urgent commands among the QUEUE_COMMANDS_MAX
  that arrive after it.
* The ordered commands of one agent are never reordered. An agent may send several commands over
  NATS without waiting for responses and rely on their order.
* The capacity is QUEUE_COMMANDS_MAX; the last URGENT_CAPACITY slots accept urgent commands only.
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
# A rank, of which the lower goes first, and a command.
_Ranked: TypeAlias = tuple[int, QueuedCommand]


class CommandQueue:
    def __init__(
        self,
        *,
        batch_commands_max: int = BATCH_COMMANDS_MAX,
        queue_commands_max: int = QUEUE_COMMANDS_MAX,
        urgent_capacity: int = URGENT_CAPACITY,
    ) -> None:
        self._batch_commands_max = batch_commands_max
        self._capacity = queue_commands_max
        self._normal_capacity = queue_commands_max - urgent_capacity
        self._arrived = 0
        self._normal: deque[_Ranked] = deque()
        self._urgent: deque[_Ranked] = deque()
        self._ordered_of: Counter[str] = Counter()  # Queued ordered commands of each agent.

    def __len__(self) -> int:
        return len(self._normal) + len(self._urgent)

    def has_capacity_for(self, envelope: CommandEnvelope) -> bool:
        return len(self) < (self._capacity if envelope.urgent else self._normal_capacity)

    def enqueue(self, command: QueuedCommand) -> None:
        self._arrived += 1
        envelope = command[0]
        if (
            envelope.urgent
            and len(self._normal) >= self._batch_commands_max
            and not self._ordered_of.get(_ordering_key(envelope))
        ):
            self._urgent.append((self._arrived - self._capacity, command))
            return
        self._normal.append((self._arrived, command))
        if envelope.in_order:
            self._ordered_of[envelope.actor] += 1

    def take_batch(self) -> Sequence[QueuedCommand]:
        return [self._take() for _ in range(min(len(self), self._batch_commands_max))]

    def has_full_batch(self) -> bool:
        return len(self) >= self._batch_commands_max

    def drain(self) -> Iterable[QueuedCommand]:
        """Remove and return all commands; the caller must complete their futures."""
        commands = [command for _, command in (*self._urgent, *self._normal)]
        self._urgent.clear()
        self._normal.clear()
        self._ordered_of.clear()
        return commands

    def _take(self) -> QueuedCommand:
        if self._urgent and (not self._normal or self._urgent[0][0] < self._normal[0][0]):
            return self._urgent.popleft()[1]
        _, command = self._normal.popleft()
        envelope = command[0]
        if envelope.in_order:
            self._ordered_of[envelope.actor] -= 1
            if not self._ordered_of[envelope.actor]:
                del self._ordered_of[envelope.actor]
        return command


def _ordering_key(envelope: CommandEnvelope) -> str:
    """Return the agent whose commands keep their order; empty when the order does not matter."""
    return envelope.actor if envelope.in_order else ""
