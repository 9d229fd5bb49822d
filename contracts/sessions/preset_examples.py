"""Examples of presets and tools for the API documents; ``contracts/examples.py`` joins them."""

from typing import Any, Final

_NOON: Final = "2026-03-01T12:00:00.000Z"
_OBSERVER: Final[dict[str, Any]] = {
    "tools": {"allow": ["sessions_list", "sessions_history", "sessions_search"]},
    "sessions": {"key_prefix": "agent:research:", "can_send": False},
}
_PRESET: Final[dict[str, Any]] = {
    "name": "observer",
    "preset": _OBSERVER,
    "updated_at": _NOON,
    "hints": [],
}

BODIES: dict[str, dict[str, Any]] = {"putPreset": _OBSERVER}
QUERIES: dict[str, dict[str, Any]] = {"listTools": {"format": "anthropic"}}
PATH_IDS = {"preset_name": "observer"}
PROBLEM_DETAILS: dict[str, dict[str, Any]] = {
    "preset_invalid": {"path": "sessions.prefix", "why": "unknown field"},
    "preset_not_found": {"name": "observer"},
    "too_many_presets": {"limit": 500},
    "tool_denied": {"tool": "sessions_send"},
}
RESPONSES: dict[str, Any] = {
    "putPreset": _PRESET,
    "getPreset": _PRESET,
    "listPresets": [_PRESET],
    "deletePreset": {"name": "observer", "removed": True},
    "listTools": {
        "tools": [
            {
                "name": "sessions_list",
                "description": "List the sessions that the caller may see.",
                "input_schema": {"type": "object", "properties": {}},
            }
        ],
        "count": 1,
    },
}
