"""Overview: counters, and what needs attention first.

Counters are kept counts, or the length of one bounded page: a page costs the same for a tenant with
a million rows. ``+`` says that there are more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from quorate.api.console.caller import Answer, Caller
from quorate.api.console.views.process_metrics import read_gauges
from quorate.api.console.views.recent_events import recent_events
from quorate.api.console.views.view import PAGE_LENGTH, Place, View
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import MILLISECONDS_PER_SECOND, Timestamp, iso

ATTENTION_MAX = 5
CONFLICTS_SHOWN = 5
ACTIVE_COUNTED_MAX = 50
RATE_SECONDS = 10
CONFLICT_SECONDS = 60
RELAY_LAG = "quorate_relay_lag_events"
_COUNTED = {"agents": "Agents", "live_leases": "Live leases", "open_requests": "Open votes"}
_TASKS = {"Queued tasks": "submitted", "Dead tasks": "dead"}
_UNDELIVERED = {"Dead letters": "dead_lettered", "Held mail": "held"}


@record
class Counter:
    label: str
    value: float
    has_more: bool = False


async def load(caller: Caller, _place: Place) -> Mapping[str, Any]:
    active = await caller.read(
        "listAgents", status="active", with_counts=False, limit=ACTIVE_COUNTED_MAX
    )
    inactive = await caller.read(
        "listAgents", status="inactive", with_counts=False, limit=PAGE_LENGTH
    )
    pending = await caller.read("listConsensus", status="pending", limit=PAGE_LENGTH)
    undelivered = await _undelivered(caller)
    tasks = await _tasks(caller)
    dead_tasks = tasks.get("Dead tasks")
    counters = [
        *await _of_log(caller),
        *_lengths({"Active agents": active, "Inactive agents": inactive}),
        *await _kept(caller, pending),
        *await _unread(caller),
        *_lengths(undelivered | tasks),
        *await _of_process(caller),
    ]
    return {
        "counters": counters,
        "ready": None if caller.as_of else (await caller.read("ready")).body,
        "inactive": inactive.body[:ATTENTION_MAX],
        "pending": sorted(pending.body, key=_timeout)[:ATTENTION_MAX],
        "dead": [one for found in undelivered.values() for one in found.body][:ATTENTION_MAX],
        "dead_tasks": [] if dead_tasks is None else dead_tasks.body[:ATTENTION_MAX],
        "conflicts": await recent_events(caller, length=CONFLICTS_SHOWN, type="LeaseConflicted"),
    }


async def _kept(caller: Caller, pending: Answer) -> Sequence[Counter]:
    """Return counts that are kept for quotas; of the past there are lists only."""
    if caller.as_of:
        leases = await caller.read("listLeases", limit=PAGE_LENGTH)
        return _lengths({"Live leases": leases, "Open votes": pending})
    quotas = (await caller.read("getQuotas")).body["quotas"]
    used = {one["quota"]: one["used"] for one in quotas}
    return [Counter(label=label, value=used[name]) for name, label in _COUNTED.items()]


async def _of_log(caller: Caller) -> Sequence[Counter]:
    """Count the events and the conflicts of the last seconds: the log finds a time by sequence."""
    if not caller.may_call("listEvents"):
        return []
    since = iso(Timestamp(caller.now - RATE_SECONDS * MILLISECONDS_PER_SECOND))
    page = (await caller.read("listEvents", since=since, limit=1)).body
    recent = page["head"] - page["events"][0]["sequence"] + 1 if page["events"] else 0
    since = iso(Timestamp(caller.now - CONFLICT_SECONDS * MILLISECONDS_PER_SECOND))
    read = {"type": "LeaseConflicted", "since": since, "limit": PAGE_LENGTH}
    conflicts = (await caller.read("listEvents", None, **read)).body
    return [
        Counter(label="Events per second", value=round(recent / RATE_SECONDS, 1)),
        Counter(label="Events", value=page["head"]),
        Counter(
            label="Conflicts in a minute",
            value=len(conflicts["events"]),
            has_more=conflicts["next"] < conflicts["head"],
        ),
    ]


async def _unread(caller: Caller) -> Sequence[Counter]:
    if not caller.may_call("getUnreadMail"):
        return []
    return [Counter(label="Unread mail", value=(await caller.read("getUnreadMail")).body["unread"])]


async def _undelivered(caller: Caller) -> dict[str, Answer]:
    """Return deliveries that need an operator, by the label of their counter."""
    if not caller.may_call("listDeadLetters"):
        return {}
    return {
        label: await caller.read("listDeadLetters", status=status, limit=PAGE_LENGTH)
        for label, status in _UNDELIVERED.items()
    }


async def _tasks(caller: Caller) -> dict[str, Answer]:
    """Return tasks that wait for a worker and those that used all attempts, by their label."""
    if not caller.may_call("listDeadTasks"):
        return {}
    return {
        label: await caller.read("listDeadTasks", state=state, limit=PAGE_LENGTH)
        for label, state in _TASKS.items()
    }


async def _of_process(caller: Caller) -> Sequence[Counter]:
    """Return how far notifications are behind the log: only the leader has the number."""
    found = await read_gauges(caller, RELAY_LAG)
    return [Counter(label="Relay lag, in events", value=value) for value in found.values()]


def _timeout(request: Mapping[str, Any]) -> str:
    return str(request["timeoutAt"])


def _lengths(lists: Mapping[str, Answer]) -> Sequence[Counter]:
    return [
        Counter(label=label, value=len(found.body), has_more=found.next_after is not None)
        for label, found in lists.items()
    ]


VIEW = View(
    name="overview",
    path="/",
    title="Overview",
    template="overview.html",
    load=load,
    needs=("getQuotas", "listAgents", "listConsensus", "listLeases"),
)
