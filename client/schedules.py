"""The schedules of a connected agent: ``agent.schedules``.

A schedule is given as it was received, or by its id. It continues when the agent disconnects.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from quorate.client import schedule_requests
from quorate.client.agent_context import AgentContext
from quorate.contracts.sessions.schedules import ScheduleInfo, ScheduleResult
from quorate.domain.sessions.schedules import Missed
from quorate.domain.shared.timestamps import iso, of

ScheduleOrId: TypeAlias = ScheduleInfo | str


def schedule_id(schedule: ScheduleOrId) -> str:
    return schedule if isinstance(schedule, str) else schedule.id


class Schedules:
    """The schedules of an agent. Its methods raise the exceptions of ``Agent``."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context

    async def create(
        self,
        message: str,
        *,
        cron: str | None = None,
        timezone: str | None = None,
        every_seconds: int | None = None,
        at: datetime | None = None,
        name: str | None = None,
        preset: str | None = None,
        session_key: str | None = None,
        active_tools: Sequence[str] | None = None,
        tool_choice: Mapping[str, str] | str | None = None,
        missed: Missed = "one",
    ) -> ScheduleInfo:
        """Create a schedule with one of ``cron``, ``every_seconds`` and ``at``.

        Each occurrence submits ``message`` as a task of ``preset``, or appends it to the session
        ``session_key``; without both, to the main session of the agent.

        Raises ScheduleInvalidError, whose ``detail`` says what is wrong.
        """
        times = {
            "cron": cron,
            "timezone": timezone,
            "every_seconds": every_seconds,
            "at": None if at is None else iso(of(at)),
        }
        payload: dict[str, Any] = {"kind": "agentTurn", "message": message}
        if active_tools is not None:
            payload["active_tools"] = list(active_tools)
        if tool_choice is not None:
            payload["tool_choice"] = (
                tool_choice if isinstance(tool_choice, str) else dict(tool_choice)
            )
        return await self._schedule(
            "create",
            schedule={kind: value for kind, value in times.items() if value is not None},
            payload=payload,
            name=name,
            preset=preset,
            session_key=session_key,
            missed=missed,
        )

    async def list(self) -> Sequence[ScheduleInfo]:
        """Return the schedules of the agent, in the order of their creation."""
        found: list[ScheduleInfo] = []
        after: str | None = None
        while True:
            page = await self._context.execute(
                schedule_requests.list_schedules(self._context.agent_ref, after=after)
            )
            found += page.schedules or ()
            after = page.next
            if after is None:
                return found

    async def get(self, schedule: ScheduleOrId) -> ScheduleInfo:
        """Return a schedule as it is now. Raises ScheduleNotFoundError."""
        return await self._schedule("get", id=schedule_id(schedule))

    async def pause(self, schedule: ScheduleOrId) -> ScheduleInfo:
        return await self._schedule("pause", id=schedule_id(schedule))

    async def resume(self, schedule: ScheduleOrId) -> ScheduleInfo:
        """Continue with the next occurrence from now on."""
        return await self._schedule("resume", id=schedule_id(schedule))

    async def run_now(self, schedule: ScheduleOrId) -> ScheduleInfo:
        """Fire a schedule now, also one that is paused; its next occurrence stays."""
        return await self._schedule("run_now", id=schedule_id(schedule))

    async def delete(self, schedule: ScheduleOrId) -> None:
        await self._ask("delete", id=schedule_id(schedule))

    async def _schedule(self, action: str, **fields: Any) -> ScheduleInfo:  # noqa: ANN401 - fields of the input.
        found = (await self._ask(action, **fields)).schedule
        assert found is not None
        return found

    async def _ask(self, action: str, **fields: Any) -> ScheduleResult:  # noqa: ANN401 - as above.
        request = schedule_requests.schedule(self._context.agent_ref, action, **fields)
        return await self._context.execute(request)
