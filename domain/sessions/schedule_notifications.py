"""Notifications of schedules: each occurrence, to the agent that created the schedule."""

from collections.abc import Sequence

from quorate.domain.shared.notifications import Data, Notification, Rule, Rules, ToAgent

SCHEDULE_FIRED = "schedule_fired"


def _fired(data: Data) -> Sequence[Notification]:
    fields = {
        "schedule_id": data["scheduleId"],
        "name": data.get("scheduleName"),
        "occurrence_at": data["occurrenceAt"],
        "next_at": data.get("nextAt"),
        "session_key": data.get("sessionKey"),
        "message_id": data.get("messageId"),
        "preset": data.get("preset"),
        "task_id": data.get("taskId"),
    }
    audience = ToAgent(agent_id=data["agentId"])
    return [Notification(audience=audience, name=SCHEDULE_FIRED, data=fields)]


RULES: Rules = {"ScheduleFired": Rule(names=(SCHEDULE_FIRED,), notify=_fired, to="agentId")}
