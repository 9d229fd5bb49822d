"""Read the structured protocol in subjects: ``TASK:{task_id}``, ``[ESCALATION L2]`` (seed 002).

* The task id follows the colon directly. White space there means that there is only a title, as in
  ``RESULT: Market analysis complete`` of the seed: the message has a kind, and no task id.
* A subject of any other form has no kind. No subject is ever rejected.
"""

import re
from typing import Literal, TypeAlias, get_args

from quorate.domain.shared.records import record

TaskKind: TypeAlias = Literal["TASK", "RESULT", "ERROR", "STATUS", "ACK", "CANCEL"]
Kind: TypeAlias = Literal[TaskKind, "ESCALATION"]
KINDS: tuple[Kind, ...] = get_args(Kind)
ESCALATION: Kind = "ESCALATION"
TASK_ID_LENGTH_MAX = 128

# A task id ends at white space, or at a character that separates it from a title.
_END = r"\s:;,|\u2013\u2014"
_TASK = re.compile(
    rf"({'|'.join(get_args(TaskKind))}):"
    rf"(?:([^{_END}]{{1,{TASK_ID_LENGTH_MAX}}})(?=[{_END}]|\Z)|(?=\s|\Z))"
)
_ESCALATION = re.compile(r"\[ESCALATION L([0-9]{1,3})\]")


@record
class Topic:
    """What a subject says about its message; all None for a subject without structure."""

    kind: Kind | None = None
    task_id: str | None = None
    level: int | None = None  # Of an escalation.


NO_TOPIC = Topic()


def parse_subject(subject: str) -> Topic:
    if (found := _TASK.match(subject)) is not None:
        kind: Kind = found[1]  # type: ignore[assignment]  # One of the names in the pattern.
        return Topic(kind=kind, task_id=found[2])
    if (found := _ESCALATION.match(subject)) is not None:
        return Topic(kind=ESCALATION, level=int(found[1]))
    return NO_TOPIC
