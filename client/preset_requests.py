"""Requests about presets and tools, as data."""

from collections.abc import Mapping
from typing import Any

from quorate.client.request_builder import Request, request_for
from quorate.contracts.sessions.presets import (
    DELETE_PRESET,
    GET_PRESET,
    LIST_PRESETS,
    PUT_PRESET,
    PresetInfo,
    RemovedPreset,
)
from quorate.contracts.sessions.tool_list import LIST_TOOLS, ToolFormat, ToolsInfo, ToolsQuery
from quorate.contracts.wire_models import PAGE_LENGTH_DEFAULT, SnakePageQuery, unchecked


def put_preset(name: str, preset: Mapping[str, Any]) -> Request[PresetInfo]:
    """Create or replace a preset, for example ``{"sessions": {"can_send": False}}``."""
    return request_for(PUT_PRESET, dict(preset), preset_name=name)


def get_preset(name: str) -> Request[PresetInfo]:
    return request_for(GET_PRESET, preset_name=name)


def list_presets(
    *, after: str | None = None, limit: int = PAGE_LENGTH_DEFAULT
) -> Request[list[PresetInfo]]:
    query = unchecked(SnakePageQuery)(after=after, limit=limit)
    return request_for(LIST_PRESETS, query=query)


def delete_preset(name: str) -> Request[RemovedPreset]:
    """Remove a preset. It permits nothing to the keys that are still bound to it."""
    return request_for(DELETE_PRESET, preset_name=name)


def list_tools(format: ToolFormat = "json-schema") -> Request[ToolsInfo]:  # noqa: A002 - its name.
    """List the tools that the caller may use, in the form of a model provider or of MCP."""
    return request_for(LIST_TOOLS, query=unchecked(ToolsQuery)(format=format))
