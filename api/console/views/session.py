"""The messages of one session, the newest first.

Its key is a parameter of the URL, because it may contain any printable character.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from quorate.api.console.caller import BY_NAME, Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View
from quorate.contracts.problems import Problem


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    body = {"key": place.get("key"), "limit": PAGE_LENGTH}
    if not body["key"]:
        raise Problem("not_found", "The URL names no session: open one from the list.")
    if place.get("older"):
        body["cursor"] = place.get("older")
    page = (await caller.call(BY_NAME["sessionsHistory"], {}, body=body)).body
    messages = [{**one, "text": _text_of(one["content"])} for one in reversed(page["messages"])]
    return {"page": page, "messages": messages}


def _text_of(content: Any) -> str | None:  # noqa: ANN401 - any JSON.
    if content is None or isinstance(content, str):
        return content
    return orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()


VIEW = View(
    name="session",
    path="/session",
    title="Session",
    template="session.html",
    load=load,
    needs=("sessionsHistory",),
    filters=("key", "older"),
    in_navigation=False,
)
