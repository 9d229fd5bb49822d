"""Make what an occurrence of a schedule sends: a message for a session, or a task for workers."""

import secrets
from typing import Any

import orjson

from quorate.domain.sessions.schedule_firing import Occurrence
from quorate.domain.sessions.schedules import Schedule
from quorate.domain.sessions.session_messages import JSON_PART, MESSAGE_ID
from quorate.domain.sessions.tasks import TASK_PART
from quorate.domain.shared.contents import SALT_BYTES, Content

AGENT_TURN = "agentTurn"


def payload_of(schedule: Schedule, message: str | None) -> dict[str, Any]:
    """Return the payload in the form of the request."""
    return {"kind": AGENT_TURN, "message": message, **schedule.tool_controls}


def make_occurrence(schedule: Schedule, message: str, new_id: str) -> Occurrence:
    """Return the occurrence with a new content. A session gets the payload, a task its message."""
    unique = new_id.replace("-", "")
    if schedule.preset is not None:
        id_, part, data = f"task_{unique}", TASK_PART, message.encode()
    else:
        id_, part = f"{MESSAGE_ID}{unique}", JSON_PART
        data = orjson.dumps(payload_of(schedule, message))
    content = Content(id=id_, part=part, salt=secrets.token_bytes(SALT_BYTES), data=data)
    return Occurrence(schedule=schedule, content=content)
