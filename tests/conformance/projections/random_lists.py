"""Random commands on task lists for a random history: every command and every event of lists."""

import random
from collections.abc import Sequence
from typing import Any

import orjson

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions import list_item_commands, task_lists
from quorate.domain.sessions.list_items import STATUSES
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.shared.state import Command

LISTS = ("default", "build")
NUMBER_MAX = 6
LATEST_MAX = 4


class RandomLists:
    """The lists of some tenants. ``note`` receives each accepted command and its response."""

    def __init__(self, rng: random.Random, names: Sequence[str]) -> None:
        self._random = rng
        self._names = names
        self._counter = 0
        self._claimed: dict[str, list_item_commands.ClaimListItem] = {}  # The last one.
        self._followed: dict[str, task_lists.FollowTaskList] = {}
        self._created: dict[str, list[list_item_commands.ItemRef]] = {}

    def note(self, tenant: str, command: Command, body: bytes) -> None:
        match command:
            case list_item_commands.CreateListItem():
                number = orjson.loads(body)["number"]
                created = list_item_commands.ItemRef(id=str(number), list_id=command.list_id)
                self._created.setdefault(tenant, []).append(created)
            case list_item_commands.ClaimListItem():
                self._claimed[tenant] = command
            case task_lists.FollowTaskList():
                self._followed[tenant] = command
            case _:
                pass

    def note_rejected(self, tenant: str, command: Command) -> None:
        """Forget an item that was not found, or is in a state that permits little."""
        item = getattr(command, "item", None)
        if item is not None and self._random.random() < 0.5:
            created = self._created.get(tenant, [])
            self._created[tenant] = [one for one in created if one != item]

    def command(  # noqa: PLR0911 - one for each command.
        self, tenant: str, caller: Principal, ref: AgentRef
    ) -> Command:
        by: dict[str, Any] = {"caller": caller, "agent": ref, "restrictions": Restrictions()}
        list_id = self._random.choice(LISTS)
        of_item = by | {"item": self._item(tenant, list_id)}
        match self._random.randrange(16):
            case 0 | 1 | 2 | 3:
                self._counter += 1
                return list_item_commands.CreateListItem(
                    **by,
                    list_id=list_id,
                    subject=self._random.choice(("Write", "ünïcode \N{SNOWMAN}")),
                    description=self._random.choice(("", "a longer text " * 10)),
                    blocked_by=self._blockers(),
                    new_item_id=f"item_{self._counter:06d}",
                    count=0,
                )
            case 4 | 5 | 6:
                return list_item_commands.ClaimListItem(**of_item)
            case 7 if (claimed := self._claimed.pop(tenant, None)) is not None:
                own = by | {"agent": claimed.agent, "item": claimed.item}
                return list_item_commands.UpdateListItem(**own, status="completed")
            case 7 | 8 | 9 | 10:
                return list_item_commands.UpdateListItem(
                    **of_item,
                    status=self._random.choice((None, None, "completed", *STATUSES)),
                    subject=self._random.choice((None, "Review")),
                    blocked_by=self._random.choice((None, None, self._blockers())),
                    owner_name=self._random.choice((*[None] * 8, *self._names)),
                )
            case 11 | 12:
                return list_item_commands.ReleaseListItem(**of_item)
            case 13:
                return list_item_commands.DeleteListItem(**of_item)
            case 14:
                followed = self._followed.pop(tenant, None)
                if followed is None or self._random.random() < 0.4:
                    return task_lists.FollowTaskList(**by, list_id=list_id, count=0)
                own = by | {"agent": followed.agent}
                return task_lists.UnfollowTaskList(**own, list_id=followed.list_id)
            case _:
                return task_lists.DeleteTaskList(**by, list_id=list_id)

    def _item(self, tenant: str, list_id: str) -> list_item_commands.ItemRef:
        created = self._created.get(tenant)
        if created and self._random.random() < 0.7:
            return self._random.choice(created[-LATEST_MAX:])
        if self._counter and self._random.random() < 0.2:
            number = self._random.randint(1, self._counter)
            return list_item_commands.ItemRef(id=f"item_{number:06d}", list_id=list_id)
        number = self._random.randint(1, NUMBER_MAX)
        return list_item_commands.ItemRef(id=str(number), list_id=list_id)

    def _blockers(self) -> tuple[int, ...]:
        numbers = range(1, NUMBER_MAX + 1)
        return tuple(self._random.sample(numbers, self._random.choice((0, 0, 0, 1, 2))))
