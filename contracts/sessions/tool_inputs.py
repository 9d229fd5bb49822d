"""What the inputs of all tools have in common.

A tool is an operation with a name of seed 003. Its input is the body of ``POST /v1/tools/{name}``.
"""

from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, ConfigDict, Field

from quorate.contracts.operations import Operation
from quorate.contracts.roles import CAN_ACT
from quorate.contracts.wire_models import SnakeAgentRequest, SnakeQuery
from quorate.domain.identity.agents import ActingAsAnother, AgentNotFound
from quorate.domain.sessions.policies import SESSION_KEY_LENGTH_MAX, ToolDenied
from quorate.domain.sessions.presets import AgentRequired
from quorate.domain.shared.errors import DomainError

R = TypeVar("R")

TOOLS = "/v1/tools"
SESSION_HEADER, TASK_HEADER, PRESET_HEADER = "Quorate-Session", "Quorate-Task", "Quorate-Preset"

SessionKey = Annotated[
    str,
    Field(min_length=1, max_length=SESSION_KEY_LENGTH_MAX, examples=["agent:research:main"]),
]


class ToolInput(SnakeAgentRequest):
    """Base of the inputs of tools.

    A key of the tenant names the agent that acts; the key of an agent may omit it.
    """

    model_config = ConfigDict(populate_by_name=True)

    current_session: SessionKey | None = Field(
        default=None,
        alias="_session_key",
        description=f"The caller's current session; as the header `{SESSION_HEADER}`.",
    )


def also(name: str, alias: str) -> AliasChoices:
    """Accept a second name for an input, as the original of seed 003 does."""
    return AliasChoices(name, alias)


def tool(
    name: str,
    summary: str,
    *,
    body: type[ToolInput],
    response: type[R],
    errors: tuple[type[DomainError], ...] = (),
    command: bool = True,
    **more: Any,  # noqa: ANN401 - further fields of an operation.
) -> Operation[R]:
    """Declare a tool. ``command``: it records events, and accepts an Idempotency-Key."""
    first, *others = name.split("_")
    return Operation(
        method="POST",
        path=f"{TOOLS}/{name}",
        name=first + "".join(word.capitalize() for word in others),
        tool=name,
        summary=summary,
        roles=more.pop("roles", CAN_ACT),
        body=body,
        query=SnakeQuery,
        response=response,
        errors=(*errors, ToolDenied, AgentNotFound, AgentRequired, ActingAsAnother),
        command=command,
        **more,
    )
