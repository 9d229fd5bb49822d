"""Bounded priority queue of commands that wait for the next transaction.

* Commands are taken first in, first out. When more wait than one batch takes, an urgent command
  overtakes the others: a heartbeat or release must not be lost behind many new leases.
* Waiting is bounded: a command is overtaken only by urgent commands among the QUEUE_COMMANDS_MAX
  that arrive after it.
* The ordered commands of one agent are never reordered. An agent may send several commands over
  NATS without waiting for responses and rely on their order.
* A batch has at most BATCH_CONTENT_BYTES_MAX of contents, or one command with more. A command whose
  contents do not fit waits for the next batch; those behind it do not wait for it.
* The capacity is QUEUE_COMMANDS_MAX; the last URGENT_CAPACITY slots accept urgent commands only.
  Commands with contents are rejected when more than QUEUE_CONTENT_BYTES_MAX of them would wait.
"""

from asyncio import Future
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from quorate.domain.shared.contents import contents_of
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult

BATCH_COMMANDS_MAX = 512
QUEUE_COMMANDS_MAX = 20_000
URGENT_CAPACITY = 2_000
BATCH_CONTENT_BYTES_MAX = 512 * 1024
QUEUE_CONTENT_BYTES_MAX = 64 * 1024 * 1024
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
        batch_content_bytes_max: int = BATCH_CONTENT_BYTES_MAX,
        queue_content_bytes_max: int = QUEUE_CONTENT_BYTES_MAX,
    ) -> None:
        self._batch_commands_max = batch_commands_max
        self._capacity = queue_commands_max
        self._normal_capacity = queue_commands_max - urgent_capacity
        self._batch_content_bytes_max = batch_content_bytes_max
        self._queue_content_bytes_max = queue_content_bytes_max
        self._content_bytes = 0  # Of all queued commands.
        self._arrived = 0
        self._normal: deque[_Ranked] = deque()
        self._urgent: deque[_Ranked] = deque()
        self._ordered_of: Counter[str] = Counter()  # Queued ordered commands of each agent.

    def __len__(self) -> int:
        return len(self._normal) + len(self._urgent)

    def has_capacity_for(self, envelope: CommandEnvelope) -> bool:
        if len(self) >= (self._capacity if envelope.urgent else self._normal_capacity):
            return False
        waiting = self._content_bytes  # Alone, a command of any size is accepted.
        return not waiting or waiting + content_bytes(envelope) <= self._queue_content_bytes_max

    def enqueue(self, command: QueuedCommand) -> None:
        self._arrived += 1
        envelope = command[0]
        self._content_bytes += content_bytes(envelope)
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
        if self._content_bytes > self._batch_content_bytes_max:
            return self._take_within_bytes()
        return [self._take() for _ in range(min(len(self), self._batch_commands_max))]

    def has_full_batch(self) -> bool:
        return (
            len(self) >= self._batch_commands_max
            or self._content_bytes >= self._batch_content_bytes_max
        )

    def drain(self) -> Iterable[QueuedCommand]:
        """Remove and return all commands; the caller must complete their futures."""
        commands = [command for _, command in (*self._urgent, *self._normal)]
        self._urgent.clear()
        self._normal.clear()
        self._ordered_of.clear()
        self._content_bytes = 0
        return commands

    def _take(self) -> QueuedCommand:
        queue = self._next_queue()
        _, command = queue.popleft()
        self._forget(command[0], queue)
        return command

    def _take_within_bytes(self) -> Sequence[QueuedCommand]:
        """Take a batch past commands whose contents do not fit, but never past an agent's order."""
        batch: list[QueuedCommand] = []
        postponed: list[tuple[deque[_Ranked], _Ranked]] = []
        agents: set[str] = set()  # Whose ordered commands were postponed.
        taken = 0
        while len(self) and max(len(batch), len(postponed)) < self._batch_commands_max:
            queue = self._next_queue()
            ranked = queue.popleft()
            envelope = ranked[1][0]
            size, agent = content_bytes(envelope), _ordering_key(envelope)
            fits = not size or not taken or taken + size <= self._batch_content_bytes_max
            if fits and agent not in agents:
                taken += size
                self._forget(envelope, queue)
                batch.append(ranked[1])
                continue
            postponed.append((queue, ranked))
            if agent:
                agents.add(agent)
        for queue, ranked in reversed(postponed):
            queue.appendleft(ranked)
        return batch

    def _next_queue(self) -> deque[_Ranked]:
        if self._urgent and (not self._normal or self._urgent[0][0] < self._normal[0][0]):
            return self._urgent
        return self._normal

    def _forget(self, envelope: CommandEnvelope, queue: deque[_Ranked]) -> None:
        """Count a command no longer, because it is taken."""
        if self._content_bytes:
            self._content_bytes -= content_bytes(envelope)
        if envelope.in_order and queue is self._normal:
            self._ordered_of[envelope.actor] -= 1
            if not self._ordered_of[envelope.actor]:
                del self._ordered_of[envelope.actor]


def content_bytes(envelope: CommandEnvelope) -> int:
    """Return the size of the contents that a command would store."""
    contents = contents_of(envelope.command)
    return sum(len(content.data) for content in contents) if contents else 0


def _ordering_key(envelope: CommandEnvelope) -> str:
    """Return the agent whose commands keep their order; empty when the order does not matter."""
    return envelope.actor if envelope.in_order else ""
