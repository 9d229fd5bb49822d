"""Mail: the mailbox of one agent, search in it, and deliveries that need an operator.

The API reads one mailbox at a time, so the page asks whose. The key of an agent has only its own.
"""

import re
from collections.abc import Mapping
from typing import Any

from quorate.api.console.caller import Answer, Caller
from quorate.api.console.views.view import PAGE_LENGTH, Place, View

BOXES = ("inbox", "sent")
DELIVERIES = ("dead_lettered", "held")
_AGENT_ID = re.compile(r"agent_[0-9a-f-]{36}")


async def load(caller: Caller, place: Place) -> Mapping[str, Any]:
    named = place.get("agent")
    is_own = caller.session.principal.role == "agent"
    variables: dict[str, Any] = {
        "account": None,
        "box": place.get("box") if place.get("box") in BOXES else BOXES[0],
        "found": None,
        "agents": [],
        "next_agents": None,
        "may_list": caller.may_call("listInbox"),
        "letters": None,
    }
    if named or is_own:
        return {**variables, **await _mailbox(caller, place, mailbox_of(named))}
    variables |= await _deliveries(caller, place)
    agents = await caller.read(
        "listAgents", with_counts=False, limit=PAGE_LENGTH, after=place.get("agents")
    )
    return {**variables, "agents": agents.body, "next_agents": agents.next_after}


def mailbox_of(named: str) -> Mapping[str, str]:
    """Return the fields of a query that name an agent by its id or its name."""
    return {"agent_id" if _AGENT_ID.fullmatch(named) else "agent_name": named}


async def _mailbox(caller: Caller, place: Place, mailbox: Mapping[str, str]) -> Mapping[str, Any]:
    account = await caller.read("getMailAccount", None, **mailbox)
    if not caller.may_call("listInbox"):
        return {"account": account.body}
    found = await _messages(caller, place, mailbox)
    return {"account": account.body, "found": found.body}


async def _messages(caller: Caller, place: Place, mailbox: Mapping[str, str]) -> Answer:
    page = {"limit": PAGE_LENGTH, "cursor": place.get("cursor"), **mailbox}
    if text := place.get("q"):
        return await caller.read("searchMail", None, q=text, **page)
    if place.get("box") == "sent":
        return await caller.read("listSentMail", None, **page)
    unread = "true" if place.get("unread") else ""
    return await caller.read("listInbox", None, unread_only=unread, **page)


async def _deliveries(caller: Caller, place: Place) -> dict[str, Any]:
    if not caller.may_call("listDeadLetters"):
        return {}
    status = place.get("deliveries") if place.get("deliveries") in DELIVERIES else DELIVERIES[0]
    found = await caller.read(
        "listDeadLetters", status=status, limit=PAGE_LENGTH, after=place.get("letters")
    )
    return {"letters": found.body, "next_letters": found.next_after, "letters_status": status}


VIEW = View(
    name="mail",
    path="/mail",
    title="Mail",
    template="mail.html",
    load=load,
    needs=("getThread", "getMailAccount", "listAgents"),
    filters=("agent", "box", "unread", "q", "cursor", "agents", "deliveries", "letters"),
)
