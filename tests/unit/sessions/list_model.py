"""A tenant with agents and task lists, for tests of their rules."""

from typing import Any

from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.list_item_commands import (
    ClaimListItem,
    CreateListItem,
    DeleteListItem,
    ItemRef,
    ReleaseListItem,
    UpdateListItem,
)
from quorate.domain.sessions.list_items import LIST_ITEMS, ListItem, item_address
from quorate.domain.sessions.presets import ApplyPreset, Restrictions
from quorate.domain.sessions.task_lists import DeleteTaskList, FollowTaskList, UnfollowTaskList
from quorate.domain.shared.errors import DomainError
from quorate.domain.shared.timestamps import Timestamp
from tests.unit.support.sample_commands import ITSELF, TENANT_KEY, key_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario

NAMES = ("ann", "bob", "cid")


class Lists:
    """Executes the commands of agents, and answers with the item or raises the rejection."""

    def __init__(self) -> None:
        self.scenario = Scenario()
        self.now = NOON
        self.outcome: Outcome
        self._number = 0
        for name in NAMES:
            self.run(register(name))

    def at(self, now: Timestamp) -> "Lists":
        self.now = now
        return self

    def run(self, command: Any) -> Any:  # noqa: ANN401 - any command and its result.
        self.outcome = self.scenario.execute(command, self.now)
        if (rejection := self.outcome.rejection) is not None:
            raise Refused(rejection.kind, dict(rejection.details))
        return self.outcome.result

    def preset(self, name: str, **fields: Any) -> None:  # noqa: ANN401 - JSON.
        self.run(ApplyPreset(caller=TENANT_KEY, name=name, fields=fields, count=0))

    def create(self, name: str = "ann", list_id: str = "default", **more: Any) -> ListItem:  # noqa: ANN401
        self._number += 1
        fields: dict[str, Any] = {"subject": "s", "description": "", "blocked_by": (), "count": 0}
        fields |= more
        fields["new_item_id"] = f"item_{self._number}"
        item: ListItem = self.run(
            CreateListItem(**self._caller(name, fields), list_id=list_id, **fields)
        )
        return item

    def claim(self, name: str, id_: str = "1", **more: Any) -> ListItem:  # noqa: ANN401
        return self._item(ClaimListItem, name, id_, more)

    def release(self, name: str, id_: str = "1", **more: Any) -> ListItem:  # noqa: ANN401
        return self._item(ReleaseListItem, name, id_, more)

    def update(self, name: str, id_: str = "1", **more: Any) -> ListItem:  # noqa: ANN401
        return self._item(UpdateListItem, name, id_, more)

    def complete(self, name: str, id_: str = "1", **more: Any) -> ListItem:  # noqa: ANN401
        return self.update(name, id_, status="completed", **more)

    def delete(self, name: str, id_: str = "1", **more: Any) -> ListItem:  # noqa: ANN401
        return self._item(DeleteListItem, name, id_, more)

    def follow(self, name: str, list_id: str = "default", **more: Any) -> None:  # noqa: ANN401
        fields: dict[str, Any] = {"count": 0} | more
        self.run(FollowTaskList(**self._caller(name, fields), list_id=list_id, **fields))

    def unfollow(self, name: str, list_id: str = "default") -> None:
        self.run(UnfollowTaskList(**self._caller(name, {}), list_id=list_id))

    def delete_list(self, name: str, list_id: str = "default") -> None:
        self.run(DeleteTaskList(**self._caller(name, {}), list_id=list_id))

    def item(self, number: int = 1, list_id: str = "default") -> ListItem:
        found = self.scenario.tenant_state[LIST_ITEMS].find(
            "address", item_address(list_id, number)
        )
        assert found is not None
        return found

    def status(self, number: int = 1) -> tuple[str, str | None]:
        item = self.item(number)
        return item.status, item.owner_name

    @property
    def notified(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return what the last command recorded, and the names of who is notified of it."""
        return [
            (type(event).__name__, tuple(one.removeprefix("agent_") for one in event.notified))
            for event in self.outcome.events
            if getattr(event, "notified", None)
        ]

    def _item(self, command: Any, name: str, id_: str, more: dict[str, Any]) -> ListItem:  # noqa: ANN401
        list_id = more.pop("list_id", "default")
        caller = self._caller(name, more)
        item: ListItem = self.run(command(**caller, item=ItemRef(id=id_, list_id=list_id), **more))
        return item

    @staticmethod
    def _caller(name: str, more: dict[str, Any]) -> dict[str, Any]:
        by: Principal | None = more.pop("by", None)
        presets = more.pop("presets", ())
        return {
            "caller": key_of(name) if by is None else by,
            "agent": more.pop("agent", ITSELF),
            "restrictions": Restrictions(preset_names=presets),
        }


class Refused(Exception):
    def __init__(self, kind: type[DomainError], details: dict[str, Any]) -> None:
        super().__init__(kind.__name__, details)
        self.kind = kind
        self.details = details

    @property
    def text(self) -> str:
        return self.kind.detail.format_map(self.details)
