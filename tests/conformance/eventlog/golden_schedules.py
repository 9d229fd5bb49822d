"""What happens with schedules in the golden log."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.schedule_commands import (
    CreateSchedule,
    DeleteSchedule,
    PauseSchedule,
    ResumeSchedule,
)
from quorate.domain.sessions.schedule_firing import FireSchedule, Occurrence, SettleSchedule
from quorate.domain.sessions.schedule_times import ScheduleTimes
from quorate.domain.sessions.schedules import Missed, Schedule
from quorate.domain.sessions.tool_controls import ToolControls
from quorate.domain.shared.contents import Content
from quorate.domain.shared.timestamps import Timestamp

TIMES = ScheduleTimes(cron="*/5 * * * *", timezone="Europe/Berlin")


def schedule_story(caller: Principal, agent_name: str) -> Sequence[tuple[int, Any]]:
    """Return commands of one agent, and the minutes before each."""
    by: dict[str, Any] = {
        "caller": caller,
        "agent": AgentRef(name=agent_name),
        "restrictions": Restrictions(),
    }

    def create(id_: str, missed: Missed) -> CreateSchedule:
        return CreateSchedule(
            **by,
            schedule_id=id_,
            times=TIMES,
            message=Content(id=id_, part="text", salt=b"s" * 16, data=b"Write."),
            controls=ToolControls(active_tools=("write",)),
            missed=missed,
            count=0,
            name="report",
        )

    def occurrence(id_: str, message_id: str) -> Occurrence:
        schedule = Schedule(
            id=id_,
            agent_id=f"agent_{agent_name}",
            times=TIMES.to_json(),
            part="text",
            sha256="",
            bytes=0,
            tool_controls={},
            missed="one",
            created_at=Timestamp(0),
            next_at=None,
            session_key=f"agent:{agent_name}:main",
        )
        content = Content(id=message_id, part="json", salt=b"s" * 16, data=b"{}")
        return Occurrence(schedule=schedule, content=content)

    return (
        (0, create("sched_1", "one")),
        (0, create("sched_2", "skip")),
        (23, FireSchedule(occurrence=occurrence("sched_1", "smsg_sched_1"))),
        (0, SettleSchedule(occurrence=occurrence("sched_2", "smsg_sched_2"))),
        (0, PauseSchedule(**by, schedule_id="sched_1")),
        (0, ResumeSchedule(**by, schedule_id="sched_1")),
        (0, DeleteSchedule(**by, schedule_id="sched_1")),
        (0, DeleteSchedule(**by, schedule_id="sched_2")),
    )
