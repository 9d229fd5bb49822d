"""Notifications of task lists: each change of an item, to the agents that follow its list."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from quorate.domain.shared.notifications import Data, Notification, Rule, Rules, ToAgent

LIST_ITEM_CHANGED = "list_item_changed"
Change: TypeAlias = Literal["created", "updated", "claimed", "released", "completed", "deleted"]


def _rule(change: Change) -> Rule:
    return Rule(names=(LIST_ITEM_CHANGED,), notify=_notify(change))


def _notify(change: Change) -> Callable[[Data], Sequence[Notification]]:
    def notify(data: Data) -> Sequence[Notification]:
        fields: dict[str, Any] = {
            "change": change,
            "list_id": data["listId"],
            "id": str(data["number"]),
            "item_id": data["itemId"],
            "subject": data["subject"],
            "version": data["version"],
            "by_agent_id": data.get("agentId"),
            "owner_id": data.get("ownerId"),
            "reason": data.get("reason"),
        }
        return [
            Notification(audience=ToAgent(agent_id=one), name=LIST_ITEM_CHANGED, data=fields)
            for one in data.get("notified") or ()
        ]

    return notify


RULES: Rules = {
    "ListItemCreated": _rule("created"),
    "ListItemUpdated": _rule("updated"),
    "ListItemClaimed": _rule("claimed"),
    "ListItemReleased": _rule("released"),
    "ListItemCompleted": _rule("completed"),
    "ListItemDeleted": _rule("deleted"),
}
