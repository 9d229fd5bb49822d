"""Tasks of workers as a board: a column for each state, with the tasks that come first in it."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View

CARDS_MAX = 20  # Of a column. Its own page has all tasks.
# What the operation calls the tasks of a column, and its title.
COLUMNS: Mapping[str, str] = {
    "submitted": "Submitted",
    "working": "Working",
    "input_required": "Input required",
    "dead": "Dead letters",
    "ended": "Ended",
}


async def load(caller: Caller, _place: Place) -> Mapping[str, Any]:
    return {"columns": [await _column(caller, state) for state in COLUMNS]}


async def _column(caller: Caller, state: str) -> Mapping[str, Any]:
    found = await caller.read("listDeadTasks", state=state, limit=PAGE_LENGTH)
    return {
        "state": state,
        "title": COLUMNS[state],
        "tasks": found.body[:CARDS_MAX],
        "count": f"{len(found.body)}{'+' if found.next_after else ''}",
        "has_more": len(found.body) > CARDS_MAX,
    }


VIEW = View(
    name="tasks",
    path="/tasks",
    title="Tasks",
    template="tasks.html",
    load=load,
    needs=("listDeadTasks",),
)
