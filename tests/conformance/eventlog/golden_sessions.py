"""What happens with presets, sessions and tasks in the golden log."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import ApplyPreset, RemovePreset


def session_story(caller: Principal) -> Sequence[tuple[int, Any]]:
    """Return commands and the minutes before each."""
    fields = {
        "tools": {"allow": ["sessions_list", "sessions_history"]},
        "sessions": {"key_prefix": "agent:research:", "can_send": False},
        "tool_controls": {
            "active_tools": ["classify_destination"],
            "tool_choice": {"type": "tool", "name": "classify_destination"},
        },
    }
    return (
        (0, ApplyPreset(caller=caller, name="observer", fields=fields, count=0)),
        (0, ApplyPreset(caller=caller, name="old", fields={}, count=1)),
        (0, RemovePreset(caller=caller, name="old")),
    )
