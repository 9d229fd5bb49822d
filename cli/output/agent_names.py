"""Agent names by id, from the events that contain them."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Details: TypeAlias = Mapping[str, Any]

MAX_NAMES = 100_000


class Names:
    """Agent names by id, collected from the described events."""

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._known = dict(known or {})

    def learn(self, details: Details) -> None:
        sides = (("agentId", "agentName"), ("holderId", "holderName"))
        self._learn([(details.get(key), details.get(name)) for key, name in sides])
        if isinstance(holder := details.get("leaseHolder"), Mapping):
            self._learn([(holder.get("agentId"), holder.get("agentName"))])

    def of(self, agent_id: object) -> str:
        return self._known.get(str(agent_id), str(agent_id))

    def _learn(self, pairs: list[tuple[object, object]]) -> None:
        for agent_id, name in pairs:
            if agent_id and name and len(self._known) < MAX_NAMES:
                self._known[str(agent_id)] = str(name)
