"""Commands on tasks for tests: ann hands over, bob and cat work."""

from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.task_claims import (
    ClaimTask,
    CompleteTask,
    FailTask,
    ReleaseClaim,
    RenewClaim,
)
from quorate.domain.sessions.task_events import UNNAMED
from quorate.domain.sessions.task_spawning import CancelTask
from quorate.domain.sessions.task_submission import SpawnTask, TaskRequest
from quorate.domain.shared.contents import SALT_BYTES, Content

CALLER = Principal(key_id="fedcba9876543210", role="tenant", tenant="acme")


def content(id_: str, text: str = "text") -> tuple[Content, ...]:
    return (Content(id=id_, part="text", salt=b"s" * SALT_BYTES, data=text.encode()),)


def spawn(
    id_: str,
    parent_id: str | None = None,
    by: str = "ann",
    **fields: Any,  # noqa: ANN401
) -> SpawnTask:
    return SpawnTask(
        caller=CALLER,
        agent=AgentRef(name=by),
        restrictions=Restrictions(),
        request=TaskRequest(task_id=id_, **fields),
        texts=content(id_),
        parent_id=parent_id,
    )


def claim(
    worker: str = "bob", *presets: str, seconds: int = 60, own: tuple[str, ...] = ()
) -> ClaimTask:
    return ClaimTask(
        caller=CALLER,
        agent=AgentRef(name=worker),
        presets=presets or (UNNAMED,),
        own_presets=own,
        seconds=seconds,
    )


def _held(worker: str, id_: str, fence: int) -> dict[str, Any]:
    return {"caller": CALLER, "agent": AgentRef(name=worker), "task_id": id_, "fence": fence}


def renew(worker: str, id_: str, fence: int, seconds: int = 60) -> RenewClaim:
    return RenewClaim(**_held(worker, id_, fence), seconds=seconds)


def complete(worker: str, id_: str, fence: int) -> CompleteTask:
    return CompleteTask(**_held(worker, id_, fence), text=content(f"result_{id_}"))


def fail(worker: str, id_: str, fence: int, outcome: Any = "failed") -> FailTask:  # noqa: ANN401
    return FailTask(**_held(worker, id_, fence), error="no", outcome=outcome)


def release(worker: str, id_: str, fence: int) -> ReleaseClaim:
    return ReleaseClaim(**_held(worker, id_, fence))


def cancel(id_: str, by: str = "ann") -> CancelTask:
    return CancelTask(
        caller=CALLER, agent=AgentRef(name=by), restrictions=Restrictions(), task_id=id_
    )
