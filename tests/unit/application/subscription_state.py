"""The state that subscriptions keep, for comparison."""

from typing import Any

from quorate.application.subscriptions import Subscriptions

EMPTY = Subscriptions()


def state_of(subscriptions: Subscriptions) -> dict[str, Any]:
    """Return all state; that of the waiting claims is part of it."""
    state = dict(vars(subscriptions))
    tasks = dict(vars(state.pop("tasks")))
    del tasks["_subscribe"]
    return state | tasks


def has_no_state(subscriptions: Subscriptions) -> bool:
    return state_of(subscriptions) == state_of(EMPTY)
