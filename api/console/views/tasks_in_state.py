"""The tasks of one column of the board, page by page."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.tasks import COLUMNS
from quorate.api.console.views.view import PAGE_LENGTH, Place, View
from quorate.contracts.problems import Problem


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    state = place.ids["state"]
    if state not in COLUMNS:
        raise Problem("not_found", "The board of tasks has no such column.")
    found = await caller.read(
        "listDeadTasks", state=state, limit=PAGE_LENGTH, after=place.get("after")
    )
    return {
        "state": state,
        "heading": COLUMNS[state],
        "tasks": found.body,
        "next_after": found.next_after,
    }


VIEW = View(
    name="tasks_in_state",
    path="/tasks/state/{state}",
    title="Tasks",
    template="tasks_in_state.html",
    load=load,
    needs=("listDeadTasks",),
    filters=("after",),
    in_navigation=False,
)
