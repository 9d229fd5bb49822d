"""Sessions whose last messages are their own, shared with another one, large, or missing."""

from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_commands import BranchSession, CreateSession
from quorate.domain.sessions.session_sending import SendToSession
from quorate.domain.shared.contents import SALT_BYTES, Content
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import ProjectionStage

LONG = "€" * 1_000
CALLER = Principal(key_id="keytenant", role="tenant", tenant=TENANT)
BY_ANN: dict[str, Any] = {
    "caller": CALLER,
    "agent": AgentRef(name="ann"),
    "restrictions": Restrictions(),
}


async def fill(stage: ProjectionStage) -> None:
    await stage.create_agents("ann")
    stage.clock.move(minutes=1)
    await _create(stage, "session:plan", "ses_plan")
    await _send(stage, "session:plan", "m0", "first")
    await _send(stage, "session:plan", "m1", LONG)
    for key, id_ in (("session:shared", "ses_shared"), ("session:branch", "ses_branch")):
        stage.clock.move(minutes=1)
        new: dict[str, Any] = {"new_key": key, "new_session_id": id_, "label": "b"}
        branch = BranchSession(**BY_ANN, **new, source_key="session:plan", fork_point=1)
        await stage.submit(branch)
    await _send(stage, "session:branch", "m2", '{"own":1}', part="json")
    stage.clock.move(minutes=1)
    await _create(stage, "session:empty", "ses_empty")


async def _create(stage: ProjectionStage, key: str, id_: str) -> None:
    await stage.submit(CreateSession(**BY_ANN, key=key, new_session_id=id_))


async def _send(stage: ProjectionStage, key: str, id_: str, text: str, part: str = "text") -> None:
    body = Content(id=id_, part=part, salt=b"s" * SALT_BYTES, data=text.encode())
    await stage.submit(SendToSession(**BY_ANN, key=key, body=body))
