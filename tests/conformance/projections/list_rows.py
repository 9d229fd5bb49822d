"""Sample states of task lists, and the column values that are no field of them."""

from collections.abc import Mapping

from sqlalchemy import Table

from quorate.domain.sessions.list_items import ListItem
from quorate.domain.sessions.schedules import Schedule
from quorate.domain.sessions.task_lists import TaskList
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions import list_items, schedules, task_lists
from tests.conformance.projections.mail_rows import Sample

LIST = TaskList(
    id="build",
    creator_id="agent_81",
    created_at=Timestamp(82),
    open={3: (1, 2), 2: ()},
    next_number=84,
    completed=(1,),
    followers=("agent_83",),
)
ITEM = ListItem(
    id="item_85",
    list_id="build",
    number=86,
    subject="Write",
    status="in_progress",
    version=87,
    created_at=Timestamp(88),
    updated_at=Timestamp(89),
    description="All of it",
    owner_id="agent_90",
    owner_name="ann",
    blocked_by=(1, 2),
)

SCHEDULE = Schedule(
    id="sched_101",
    agent_id="agent_102",
    times={"every_seconds": 103},
    part="text",
    sha256="5c" * 32,
    bytes=104,
    tool_controls={"active_tools": ["write"]},
    missed="all",
    created_at=Timestamp(105),
    next_at=Timestamp(106),
    name="report",
    preset="writer",
    session_key="agent:ann:main",
    preset_names=("own",),
    paused_reason="requested",
    last_at=Timestamp(107),
    fired_count=108,
    caught_up=109,
)


def samples(tenant: str) -> Mapping[Table, Sample]:
    return {
        task_lists.TABLE: (
            LIST,
            task_lists.to_row,
            task_lists.from_row,
            {
                "tenant": tenant,
                "open": "[[3,[1,2]],[2,[]]]",
                "completed": "[1]",
                "followers": '["agent_83"]',
            },
        ),
        list_items.TABLE: (
            ITEM,
            list_items.to_row,
            list_items.from_row,
            {"tenant": tenant, "address": "build 0000000086", "blocked_by": "[1,2]"},
        ),
        schedules.TABLE: (
            SCHEDULE,
            schedules.to_row,
            schedules.from_row,
            {
                "tenant": tenant,
                "times": '{"every_seconds":103}',
                "tool_controls": '{"active_tools":["write"]}',
                "preset_names": '["own"]',
            },
        ),
    }
