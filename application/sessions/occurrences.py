"""Make what an occurrence of a schedule sends: a message for a session, or a task for workers."""

from typing import Any

import orjson

from quorate.application.new_contents import prefixed_id, salted
from quorate.domain.sessions.schedule_firing import Occurrence
from quorate.domain.sessions.schedules import Schedule
from quorate.domain.sessions.session_messages import JSON_PART, MESSAGE_ID
from quorate.domain.sessions.tasks import TASK_PART

AGENT_TURN = "agentTurn"


def payload_of(schedule: Schedule, message: str | None) -> dict[str, Any]:
    """Return the payload in the form of the request."""
    return {"kind": AGENT_TURN, "message": message, **schedule.tool_controls}


def make_occurrence(
    schedule: Schedule, message: str, new_id: str, task_retention_seconds: int
) -> Occurrence:
    """Return the occurrence with a new content. A session gets the payload, a task its message."""
    if schedule.preset is not None:
        id_, part, data = prefixed_id("task_", new_id), TASK_PART, message.encode()
    else:
        id_, part = prefixed_id(MESSAGE_ID, new_id), JSON_PART
        data = orjson.dumps(payload_of(schedule, message))
    return Occurrence(
        schedule=schedule,
        content=salted(id_, part, data, is_searched=schedule.preset is None),
        task_retention_seconds=task_retention_seconds,
    )
