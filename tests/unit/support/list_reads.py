"""What the reads of task lists load: a second definition, written without the read models."""

from collections.abc import Iterable
from typing import Any

from quorate.domain.identity.agents import AGENTS, Agent, find_agent_by_name
from quorate.domain.sessions.list_items import LIST_ITEMS
from quorate.domain.sessions.presets import PRESETS
from quorate.domain.sessions.task_lists import TASK_LISTS
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.state import TenantState

Keys = dict[str, list[tuple[str, ...]]]


def put_lists(
    part: TenantState, complete: TenantState, keys: Keys, voters: Iterable[str]
) -> list[Agent]:
    """Put what the reads of lists and presets name; return the agents that they load."""

    def copy(aggregate: Aggregate[Any], id_: str) -> None:
        if (known := complete[aggregate].get(id_)) is not None:
            part[aggregate].put(id_, known)

    for (name,) in keys.pop("preset.id", []):
        copy(PRESETS, name)
    for (list_id,) in keys.pop("task_list.id", []):
        copy(TASK_LISTS, list_id)
    items = [complete[LIST_ITEMS].get(one) for (one,) in keys.pop("list_item.id", [])]
    addresses = keys.pop("list_item.address", [])
    items += [complete[LIST_ITEMS].find("address", one) for (one,) in addresses]
    owners = []
    for item in items:
        if item is None or item.is_deleted:
            continue
        part[LIST_ITEMS].put(item.id, item)
        copy(TASK_LISTS, item.list_id)
        if item.claimant_id is not None:
            owners.append(complete[AGENTS][item.claimant_id])
    named = [one for (one,) in keys.pop("claimed_items.id", [])]
    for (name,) in keys.pop("claimed_items.name", []):
        agent = find_agent_by_name(complete, name)
        named += [] if agent is None else [agent.id]
    if "held_leases.id" in keys or "held_leases.name" in keys:
        named += voters
    for agent_id in named:
        put_items_of(part, complete, agent_id)
    return owners


def put_items_of(part: TenantState, complete: TenantState, agent_id: str) -> None:
    """Put the items that an agent has claimed, and their lists."""
    for item in complete[LIST_ITEMS].owned_by(agent_id):
        part[LIST_ITEMS].put(item.id, item)
        part[TASK_LISTS].put(item.list_id, complete[TASK_LISTS][item.list_id])
