"""Turn the tool controls of a run into the parameters of a model provider's API.

>>> tools = ProviderTools(["classify"], {"type": "tool", "name": "classify"})
>>> client.chat.completions.create(model=..., messages=..., **tools.openai_chat(schemas))

* ``schemas`` are the tools that the program has, each as an object with ``name``, ``description``
  and a JSON Schema, in the form of any provider, of MCP, or of ``GET /v1/tools``.
* Tools that are not active are left out. With the choice ``none``, the result is empty: a request
  without tools can only answer in text.
* The functions are pure, and know no provider's package.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from quorate.domain.sessions.tool_controls import ToolControls, parse_tool_controls

Json: TypeAlias = Mapping[str, Any]
# Where providers and MCP put the JSON Schema of the input.
_SCHEMA_FIELDS = ("parameters", "input_schema", "inputSchema", "schema")
_NO_INPUT: Json = {"type": "object", "properties": {}}


class ProviderTools:
    """The tool controls of one run: those of a task, or those given here."""

    def __init__(
        self,
        active_tools: Sequence[str] | None = None,
        tool_choice: str | Json | None = None,
    ) -> None:
        """Raise InvalidToolChoice or InvalidActiveTools if the controls mean nothing."""
        self.controls: ToolControls = parse_tool_controls(active_tools, tool_choice)

    def openai_chat(self, schemas: Iterable[Json]) -> dict[str, Any]:
        """Return ``tools`` and ``tool_choice`` for Chat Completions.

        Raises ValueError if a schema has no name, or if the tool to call has no schema.
        """
        return self._parameters(schemas, _openai_chat, _openai_choice(_named_function))

    def openai_responses(self, schemas: Iterable[Json]) -> dict[str, Any]:
        """Return ``tools`` and ``tool_choice`` for Responses; raise as ``openai_chat``."""
        return self._parameters(schemas, _openai_responses, _openai_choice(_flat_function))

    def anthropic(self, schemas: Iterable[Json]) -> dict[str, Any]:
        """Return ``tools`` and ``tool_choice`` for Messages; raise as ``openai_chat``."""
        return self._parameters(schemas, _anthropic, _anthropic_choice)

    def active(self, schemas: Iterable[Json]) -> list[Json]:
        """Return the schemas of the active tools, as they were given."""
        return [one for one in schemas if self.controls.permits(_parts(one)[0])]

    def _parameters(
        self,
        schemas: Iterable[Json],
        form: Callable[[str, str, Json], dict[str, Any]],
        choice_of: Callable[[str, str | None], Any],
    ) -> dict[str, Any]:
        choice = self.controls.tool_choice
        parts = [_parts(one) for one in self.active(schemas)]
        if choice is not None and choice.type == "tool" and choice.name not in _names(parts):
            raise ValueError(f"the run must call {choice.name}, which has no schema")
        if choice is not None and choice.type == "any" and not parts:
            raise ValueError("the run must call a tool, and none has a schema")
        if not parts:
            return {}
        tools = [form(*one) for one in parts]
        if choice is None:
            return {"tools": tools}
        return {"tools": tools, "tool_choice": choice_of(choice.type, choice.name)}


def _names(parts: Iterable[tuple[str, str, Json]]) -> set[str]:
    return {name for name, *_ in parts}


def _parts(schema: Json) -> tuple[str, str, Json]:
    """Return the name, the description and the JSON Schema of a tool in any form."""
    inner: Json = schema["function"] if isinstance(schema.get("function"), Mapping) else schema
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("the schema of a tool needs a name")
    given = [inner[field] for field in _SCHEMA_FIELDS if isinstance(inner.get(field), Mapping)]
    return name, str(inner.get("description") or ""), given[0] if given else _NO_INPUT


def _openai_chat(name: str, description: str, schema: Json) -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": dict(schema)}
    return {"type": "function", "function": function}


def _openai_responses(name: str, description: str, schema: Json) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": dict(schema),
        "strict": False,
    }


def _anthropic(name: str, description: str, schema: Json) -> dict[str, Any]:
    return {"name": name, "description": description, "input_schema": dict(schema)}


def _named_function(name: str | None) -> Json:
    return {"type": "function", "function": {"name": name}}


def _flat_function(name: str | None) -> Json:
    return {"type": "function", "name": name}


def _openai_choice(named: Callable[[str | None], Json]) -> Callable[[str, str | None], Any]:
    def choice(type_: str, name: str | None) -> Any:  # noqa: ANN401 - text or an object.
        return named(name) if type_ == "tool" else {"auto": "auto", "any": "required"}[type_]

    return choice


def _anthropic_choice(type_: str, name: str | None) -> Json:
    return {"type": "tool", "name": name} if type_ == "tool" else {"type": type_}
