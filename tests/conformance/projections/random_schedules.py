"""Random commands on schedules for a random history: every command and every event of schedules."""

import random
from collections.abc import Mapping
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions import schedule_commands, schedule_firing
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.schedule_times import ScheduleTimes
from quorate.domain.sessions.schedules import Schedule
from quorate.domain.sessions.tool_controls import ToolControls
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp

LATEST_MAX = 3
# The latest occurrence of the second one can be missed: it is then skipped.
TIMES = (ScheduleTimes(every_seconds=60), ScheduleTimes(every_seconds=200))


class RandomSchedules:
    """The schedules of some tenants. ``note`` receives each accepted command."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self._counter = 0
        self._created: dict[str, list[Schedule]] = {}

    def command(  # noqa: PLR0911 - one for each command.
        self, tenant: str, caller: Principal, ref: AgentRef
    ) -> Command:
        by: dict[str, Any] = {"caller": caller, "agent": ref, "restrictions": Restrictions()}
        known = self._created.get(tenant, [])[-LATEST_MAX:]
        kind = self._random.randrange(10)
        if not known or kind == 0:
            return self._create(by, str(ref.name))
        schedule = self._random.choice(known)
        if kind <= 3:
            return schedule_firing.FireSchedule(occurrence=self._occurrence(schedule))
        if kind <= 5:
            return schedule_firing.SettleSchedule(occurrence=self._occurrence(schedule))
        own = by | {"agent": AgentRef(), "schedule_id": schedule.id}
        match kind:
            case 6:
                return schedule_commands.PauseSchedule(**own)
            case 7 | 8:
                return schedule_commands.ResumeSchedule(**own)
            case _ if self._random.random() < 0.5:
                return schedule_commands.DeleteSchedule(**own)
            case _:
                occurrence = self._occurrence(schedule)
                return schedule_commands.RunScheduleNow(**own, occurrence=occurrence)

    def note(self, tenant: str, command: Command, agent_ids: Mapping[str, str]) -> None:
        if isinstance(command, schedule_commands.CreateSchedule):
            name = str(command.agent.name)
            schedule = Schedule(
                id=command.schedule_id,
                agent_id=agent_ids.get(name.lower(), "agent_removed"),
                times=command.times.to_json(),
                part="text",
                sha256="",
                bytes=0,
                tool_controls={},
                missed=command.missed,
                created_at=Timestamp(0),
                next_at=None,
                session_key=f"agent:{name}:main",
            )
            self._created.setdefault(tenant, []).append(schedule)

    def note_rejected(self, tenant: str, command: Command) -> None:
        """Forget a schedule that was deleted, or that its agent may not change."""
        match command:
            case schedule_firing.FireSchedule() | schedule_firing.SettleSchedule():
                id_ = command.occurrence.schedule.id
            case schedule_commands.ResumeSchedule() | schedule_commands.PauseSchedule():
                id_ = command.schedule_id
            case _:
                return
        created = self._created.get(tenant, ())
        self._created[tenant] = [one for one in created if one.id != id_]

    def _create(self, by: dict[str, Any], name: str) -> Command:
        self._counter += 1
        id_ = f"sched_{self._counter:06d}"
        return schedule_commands.CreateSchedule(
            **by,
            schedule_id=id_,
            times=self._random.choice(TIMES),
            message=self._content(id_, "text"),
            controls=ToolControls(),
            missed=self._random.choice(("one", "skip", "skip", "all")),
            count=0,
            name=self._random.choice((None, name)),
        )

    def _occurrence(self, schedule: Schedule) -> schedule_firing.Occurrence:
        self._counter += 1
        content = self._content(f"smsg_sched_{self._counter:06d}", "json")
        return schedule_firing.Occurrence(schedule=schedule, content=content)

    def _content(self, id_: str, part: str) -> Content:
        salt = self._random.randbytes(SALT_BYTES)
        return Content(id=id_, part=part, salt=salt, data=b'{"message": "Write."}')
