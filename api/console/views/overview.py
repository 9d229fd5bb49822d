"""Overview: counters, and what needs attention first."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.recent_events import recent_events
from quorate.api.console.views.view import PAGE_LENGTH, Place, View

ATTENTION_MAX = 5
CONFLICTS_SHOWN = 5
_COUNTED = {"agents": "Agents", "live_leases": "Live leases", "open_requests": "Open votes"}


async def load(caller: Caller, _place: Place) -> Mapping[str, Any]:
    quotas = (await caller.read("getQuotas")).body["quotas"]
    used = {one["quota"]: one["used"] for one in quotas}
    counters = [
        {"id": name, "label": label, "value": used.get(name, 0)} for name, label in _COUNTED.items()
    ]
    inactive = await caller.read("listAgents", status="inactive", limit=PAGE_LENGTH)
    pending = await caller.read("listConsensus", status="pending", limit=PAGE_LENGTH)
    dead = await _optional(caller, "listDeadLetters")
    dead_tasks = await _optional(caller, "listDeadTasks")
    conflicts = await recent_events(caller, length=CONFLICTS_SHOWN, type="LeaseConflicted")
    counters.append(_counter("inactive", "Inactive agents", inactive.body, inactive.next_after))
    if dead is not None:
        counters.append(_counter("dead", "Dead letters", dead.body, dead.next_after))
    if dead_tasks is not None:
        counters.append(_counter("tasks", "Dead tasks", dead_tasks.body, dead_tasks.next_after))
    return {
        "counters": counters,
        "head": None if conflicts is None else conflicts.head,
        "ready": (await caller.read("ready")).body,
        "inactive": inactive.body[:ATTENTION_MAX],
        "pending": sorted(pending.body, key=_timeout)[:ATTENTION_MAX],
        "dead": [] if dead is None else dead.body[:ATTENTION_MAX],
        "conflicts": conflicts,
    }


def _timeout(request: Mapping[str, Any]) -> str:
    return str(request["timeoutAt"])


def _counter(name: str, label: str, found: Any, more: str | None) -> dict[str, Any]:  # noqa: ANN401
    return {"id": name, "label": label, "value": len(found), "more": more is not None}


async def _optional(caller: Caller, name: str) -> Any:  # noqa: ANN401 - an answer or None.
    return await caller.read(name, limit=PAGE_LENGTH) if caller.may_call(name) else None


VIEW = View(
    name="overview",
    path="/",
    title="Overview",
    template="overview.html",
    load=load,
    needs=("getQuotas", "listAgents", "listConsensus"),
)
