"""One agent: its state, leases, quotas, keys, notifications and history."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.recent_events import recent_events
from quorate.api.console.views.view import PAGE_LENGTH, Place, View

NOTIFICATIONS = "listNotifications"
NOTIFICATION_WINDOW = 200  # Events of the log whose notifications are read.
NOTIFICATIONS_SHOWN = 20


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    id_ = place.ids["id"]
    agent = await caller.read("getAgent", {"agent_id": id_})
    leases = await caller.read("listLeases", agent_id=id_, limit=PAGE_LENGTH)
    quotas: Any = {"quotas": []}
    if not caller.as_of:  # They are those of now.
        quotas = (await caller.read("getQuotas", agent_id=id_)).body
    keys: Any = None
    if caller.may_call("listKeys"):
        listed = await caller.read("listKeys", limit=1_000)
        keys = [key for key in listed.body if key.get("agentId") == id_]
    history = await recent_events(caller, before=place.get("before"), agent_id=id_)
    notifications = await _notifications(caller, id_) if caller.may_call(NOTIFICATIONS) else None
    return {
        "notifications": notifications,
        "notification_window": NOTIFICATION_WINDOW,
        "agent": agent.body,
        "leases": leases.body,
        "quotas": [one for one in quotas["quotas"] if one["quota"].endswith("_per_agent")],
        "keys": keys,
        "history": history,
    }


async def _notifications(caller: Caller, id_: str) -> list[Mapping[str, Any]]:
    """Return the newest notifications within the last events of the log."""
    head = (await caller.read(NOTIFICATIONS, agent_id=id_, after=0, limit=1)).body["head"]
    first = max(0, head - NOTIFICATION_WINDOW)
    page = await caller.read(NOTIFICATIONS, agent_id=id_, after=first, limit=NOTIFICATION_WINDOW)
    found: list[Mapping[str, Any]] = page.body["notifications"]
    return found[: -NOTIFICATIONS_SHOWN - 1 : -1]


VIEW = View(
    name="agent",
    path="/agents/{id}",
    title="Agent",
    template="agent.html",
    load=load,
    needs=("getAgent", "listLeases", "getQuotas"),
    filters=("before",),
    in_navigation=False,
)
