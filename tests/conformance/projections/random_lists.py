"""Random commands on task lists for a random history: every command and every event of lists."""

import random
from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions import list_item_commands, task_lists
from quorate.domain.sessions.list_items import STATUSES
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.shared.state import Command

LISTS = ("default", "build")
NUMBER_MAX = 8


class RandomLists:
    def __init__(self, rng: random.Random, names: Sequence[str]) -> None:
        self._random = rng
        self._names = names
        self._counter = 0

    def command(  # noqa: PLR0911 - one for each command.
        self, caller: Principal, ref: AgentRef
    ) -> Command:
        by: dict[str, Any] = {"caller": caller, "agent": ref, "restrictions": Restrictions()}
        list_id = self._random.choice(LISTS)
        of_item = by | {"item": self._item(list_id)}
        match self._random.randrange(16):
            case 0 | 1 | 2:
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
            case 3 | 4 | 5 | 6:
                return list_item_commands.ClaimListItem(**of_item)
            case 7 | 8 | 9 | 10:
                return list_item_commands.UpdateListItem(
                    **of_item,
                    status=self._random.choice((None, "completed", *STATUSES)),
                    subject=self._random.choice((None, "Review")),
                    blocked_by=self._random.choice((None, self._blockers())),
                    owner_name=self._random.choice((None, None, *self._names)),
                )
            case 11:
                return list_item_commands.ReleaseListItem(**of_item)
            case 12 | 13:
                return list_item_commands.DeleteListItem(**of_item)
            case 14:
                follow = self._random.random() < 0.7
                return (
                    task_lists.FollowTaskList(**by, list_id=list_id, count=0)
                    if follow
                    else task_lists.UnfollowTaskList(**by, list_id=list_id)
                )
            case _:
                return task_lists.DeleteTaskList(**by, list_id=list_id)

    def _item(self, list_id: str) -> list_item_commands.ItemRef:
        if self._counter and self._random.random() < 0.2:
            number = self._random.randint(1, self._counter)
            return list_item_commands.ItemRef(id=f"item_{number:06d}", list_id=list_id)
        number = self._random.randint(1, NUMBER_MAX)
        return list_item_commands.ItemRef(id=str(number), list_id=list_id)

    def _blockers(self) -> tuple[int, ...]:
        numbers = range(1, NUMBER_MAX + 1)
        return tuple(self._random.sample(numbers, self._random.choice((0, 0, 1, 2))))
