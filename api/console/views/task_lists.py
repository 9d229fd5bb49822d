"""The tasks of task lists: who has them, and what blocks them."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    found = await caller.read(
        "listListTasks",
        limit=PAGE_LENGTH,
        after=place.get("after"),
        list_id=place.get("list"),
        status=place.get("status"),
    )
    return {"items": found.body, "next_after": found.next_after}


VIEW = View(
    name="task_lists",
    path="/task-lists",
    title="Task lists",
    template="task_lists.html",
    load=load,
    needs=("listListTasks",),
    filters=("list", "status", "after"),
    in_navigation=False,
)
