"""Commands that the service submits itself: deadlines, retention, schedules and follow-up work."""

from collections.abc import Callable
from typing import Any

from quorate.domain.identity.principals import SYSTEM_ACTOR
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.commands import Commands
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult
from quorate.eventlog.unit_of_work import NewId


def _no_body(_result: object) -> bytes:
    return b""


class SystemCommands:
    def __init__(
        self, command_bus: Commands, clock: Callable[[], Timestamp], new_id: NewId
    ) -> None:
        self._command_bus = command_bus
        self._clock = clock
        self._new_id = new_id

    async def submit(
        self,
        tenant: str,
        command: Command,
        render: Callable[[Any], bytes] = _no_body,
        *,
        urgent: bool = False,
    ) -> CommandResult:
        """Execute a command as the service; raises Unavailable and CommandFailed."""
        return await self._command_bus.submit(
            CommandEnvelope(
                tenant=tenant,
                actor=SYSTEM_ACTOR,
                command_id=self._new_id(self._clock()),
                command=command,
                render=render,
                urgent=urgent,
            )
        )
