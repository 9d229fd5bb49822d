"""Describe tools: the JSON Schema of an input, and the forms of model providers and of MCP."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel

from quorate.contracts.input_schemas import input_schema
from quorate.contracts.json_schemas import Json
from quorate.contracts.operations import AnyOperation
from quorate.contracts.sessions.tool_list import ToolFormat

# Models act for one agent, whose key says which tenant and agent that is.
_OF_THE_KEY = ("tenant_id", "agent_id", "agent_name")


@cache
def _schema(model: type[BaseModel]) -> Json:
    return input_schema(model, _OF_THE_KEY)


def describe(operation: AnyOperation) -> str:
    """Return what a tool does, for a model."""
    return f"{operation.summary}. {operation.description}".strip()


def _json_schema(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "description": text, "schema": schema}


def _openai(name: str, text: str, schema: Json) -> Json:
    function = {"name": name, "description": text, "parameters": schema}
    return {"type": "function", "function": function}


def _openai_responses(name: str, text: str, schema: Json) -> Json:
    return {
        "type": "function",
        "name": name,
        "description": text,
        "parameters": schema,
        "strict": False,
    }


def _anthropic(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "description": text, "input_schema": schema}


def _mcp(name: str, text: str, schema: Json) -> Json:
    return {"name": name, "description": text, "inputSchema": schema}


_FORMS: Mapping[ToolFormat, Callable[[str, str, Json], Json]] = {
    "json-schema": _json_schema,
    "openai": _openai,
    "openai-responses": _openai_responses,
    "anthropic": _anthropic,
    "mcp": _mcp,
}


def tool_schema(operation: AnyOperation, form: ToolFormat) -> dict[str, Any]:
    """Return the description of one tool in a form."""
    assert operation.tool is not None
    assert operation.body is not None
    return _FORMS[form](operation.tool, describe(operation), _schema(operation.body))
