"""The port to the writer of the log: a command bus in this process, or that of another one."""

from typing import Any, Protocol

from quorate.eventlog.chores import Chore
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult


class Commands(Protocol):
    """Takes commands; ``CommandBus`` and ``RemoteCommandBus`` are its implementations."""

    @property
    def damage(self) -> str | None:
        """Why the log is read-only; None while it is not."""

    @property
    def failing(self) -> bool:
        """Whether the last write failed; the next one is tried."""

    @property
    def waiting(self) -> int:
        """How many commands of this process wait for their results."""

    async def submit(self, envelope: CommandEnvelope) -> CommandResult:
        """Execute a command and return its result, which is durable.

        Raise Unavailable when the log cannot take the command, or may have taken it: retry with the
        same idempotency key. Raise CommandFailed when a handler raised.
        """

    async def run_chore(self, chore: Chore) -> Any:  # noqa: ANN401 - what the chore returns.
        """Run maintenance work in a transaction of its own, after the commands that wait.

        Raise Unavailable, DatabaseUnavailable or what the chore raises.
        """
