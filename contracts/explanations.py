"""Explain a decision or a refusal: the rule, the facts, the command, and what is possible now."""

from typing import Annotated

from pydantic import Field

from quorate.contracts.event_log import GapInfo
from quorate.contracts.operations import ID_LENGTH_MAX, Operation
from quorate.contracts.problems import NothingToExplain
from quorate.contracts.roles import CAN_AUDIT
from quorate.contracts.wire_models import Query, ResponseModel, Time, optional


class FactInfo(ResponseModel):
    """An event without which the rule would have decided otherwise."""

    kind: str = Field(description="What it is about, such as `lease`, `vote` or `heartbeat`.")
    text: str = Field(description="One sentence. It may contain text of callers.")
    sequence: int = Field(description="Sequence of the event in the tenant's log.")
    at: Time


class CausingCommandInfo(ResponseModel):
    """The command that recorded the decision."""

    actor: str = Field(description="Id of the agent or key that sent it, or `quorate`.")
    command_id: str
    sequence: int = Field(description="Sequence of the decision.")
    event_id: str
    at: Time


class PossibleInfo(ResponseModel):
    action: str
    when: str


class ExplanationInfo(ResponseModel):
    """Why something was decided or refused.

    ``command`` is absent for a problem code. ``gap`` names the sequences that were not read,
    because they are archived or too many. ``isComplete`` is false if the rule needs them: then
    there are no facts. It is also false if the rule needs an option of the operator, which is in no
    log: then the rule names it.
    """

    id: Annotated[str, Field(max_length=ID_LENGTH_MAX * 2)]
    rule: str
    outcome: str
    facts: list[FactInfo]
    command: CausingCommandInfo | None = optional()
    possible: list[PossibleInfo]
    is_complete: bool
    gap: GapInfo | None = optional()


EXPLAIN = Operation(
    method="GET",
    path="/v1/explain/{id}",
    name="explain",
    summary="Explain a decision or a refusal",
    description=(
        "`id` is the id of a lease, a send, a proposal, a message, a delivery, a task or an event,"
        " the sequence of an event, or the code of a problem."
    ),
    roles=CAN_AUDIT,
    query=Query,
    response=ExplanationInfo,
    errors=(NothingToExplain,),
)
OPERATIONS = (EXPLAIN,)
