"""One task: what it asks for, who works on it, its result, why it failed, and its events."""

from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Caller
from quorate.api.console.views.recent_events import recent_events
from quorate.api.console.views.view import Place, View
from quorate.contracts.problems import Problem


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    id_ = place.ids["id"]
    task = (await caller.read("getTask", {"task_id": id_})).body
    is_unfinished = task["finished_at"] is None or task["state"] == "completed"
    return {
        "task": task,
        "explained": None if is_unfinished else await _explain(caller, id_),
        "history": await recent_events(caller, before=place.get("before"), text=id_),
    }


async def _explain(caller: Caller, id_: str) -> Any:  # noqa: ANN401 - an explanation or None.
    if not caller.may_call("explain"):
        return None
    try:
        return (await caller.read("explain", {"id": id_})).body
    except Problem as problem:
        if problem.code != "nothing_to_explain":
            raise
        return None


VIEW = View(
    name="task",
    path="/tasks/{id}",
    title="Task",
    template="task.html",
    load=load,
    needs=("getTask",),
    filters=("before",),
    in_navigation=False,
)
