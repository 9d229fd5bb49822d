"""Tool controls become parameters that the providers' published types accept."""

from typing import Any, cast

import pytest
from anthropic.types import ToolChoiceParam, ToolParam
from openai.types.chat import (
    ChatCompletionToolChoiceOptionParam,
    ChatCompletionToolParam,
)
from openai.types.responses import (
    FunctionToolParam,
    ToolChoiceFunctionParam,
)
from openai.types.responses.tool_choice_options import ToolChoiceOptions
from pydantic import TypeAdapter

from quorate.client.tool_controls import ProviderTools
from quorate.domain.sessions.tool_controls import InvalidToolChoice

INPUT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
SCHEMAS: list[dict[str, Any]] = [
    {"name": "classify", "description": "Classify a reply.", "parameters": INPUT},
    {"name": "write_file", "description": "Write a file.", "input_schema": INPUT},
    {"type": "function", "function": {"name": "send", "description": "Send.", "parameters": INPUT}},
    {"name": "list", "inputSchema": INPUT},
    {"name": "now"},
]
NAMES = ["classify", "write_file", "send", "list", "now"]
CHOICES = [None, "auto", "any", {"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "send"}]
PROVIDERS: dict[str, tuple[TypeAdapter[Any], TypeAdapter[Any]]] = {
    "openai_chat": (
        TypeAdapter(list[ChatCompletionToolParam]),
        TypeAdapter(ChatCompletionToolChoiceOptionParam),
    ),
    "openai_responses": (
        TypeAdapter(list[FunctionToolParam]),
        TypeAdapter(ToolChoiceOptions | ToolChoiceFunctionParam),
    ),
    "anthropic": (TypeAdapter(list[ToolParam]), TypeAdapter(ToolChoiceParam)),
}


def parameters(provider: str, tools: ProviderTools) -> dict[str, Any]:
    return cast("dict[str, Any]", getattr(tools, provider)(SCHEMAS))


def names(provider: str, found: dict[str, Any]) -> list[str]:
    tools = found.get("tools", [])
    return [one["function"]["name"] if provider == "openai_chat" else one["name"] for one in tools]


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_parameters_have_the_published_types(provider: str, choice: Any) -> None:  # noqa: ANN401
    of_tools, of_choice = PROVIDERS[provider]
    found = parameters(provider, ProviderTools(tool_choice=choice))

    of_tools.validate_python(found["tools"], extra="forbid")
    assert names(provider, found) == NAMES
    if choice is not None:
        of_choice.validate_python(found["tool_choice"], extra="forbid")
    else:
        assert "tool_choice" not in found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_published_types_reject_another_choice(provider: str) -> None:
    """The check above can fail."""
    with pytest.raises(ValueError, match="validation error"):
        PROVIDERS[provider][1].validate_python({"type": "some"})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_choices_have_the_meaning_that_the_provider_gives_them(provider: str) -> None:
    def chosen(choice: Any) -> Any:  # noqa: ANN401 - any JSON value.
        return parameters(provider, ProviderTools(tool_choice=choice))["tool_choice"]

    expected = {
        "openai_chat": ["auto", "required", {"type": "function", "function": {"name": "send"}}],
        "openai_responses": ["auto", "required", {"type": "function", "name": "send"}],
        "anthropic": [{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "send"}],
    }
    forced = {"type": "tool", "name": "send"}

    assert [chosen("auto"), chosen("any"), chosen(forced)] == expected[provider]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_tools_are_sent_with_the_choice_none(provider: str) -> None:
    assert parameters(provider, ProviderTools(tool_choice="none")) == {}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_active_tools_are_sent(provider: str) -> None:
    tools = ProviderTools(active_tools=["send", "unknown"])

    assert names(provider, parameters(provider, tools)) == ["send"]
    assert parameters(provider, ProviderTools(active_tools=[])) == {}


def test_tool_to_call_must_have_a_schema() -> None:
    tools = ProviderTools(tool_choice={"type": "tool", "name": "missing"})

    with pytest.raises(ValueError, match="missing"):
        tools.openai_chat(SCHEMAS)
    with pytest.raises(ValueError, match="must call a tool"):
        ProviderTools(tool_choice="any").anthropic([])
    with pytest.raises(ValueError, match="needs a name"):
        ProviderTools().anthropic([{"description": "?"}])


def test_controls_without_meaning_are_rejected() -> None:
    with pytest.raises(InvalidToolChoice):
        ProviderTools(active_tools=["a"], tool_choice={"type": "tool", "name": "b"})
