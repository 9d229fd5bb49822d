"""Sample events of presets and sessions: Ann sent a message to the main session of Bob."""

from typing import Any

from quorate.domain.sessions.presets import PresetApplied, PresetRemoved
from quorate.domain.sessions.session_messages import (
    SessionMessageAppended,
    SessionMessageErased,
    SessionMessageRead,
)
from quorate.domain.sessions.session_values import SessionValueErased, SessionValueSet
from quorate.domain.sessions.sessions import (
    SessionBranched,
    SessionCreated,
    SessionDeleted,
    SessionErased,
)
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.contents import ContentRef
from tests.unit.support.sample_commands import id_of

ANN, BOB = id_of("ann"), id_of("bob")
MAIN: dict[str, Any] = {"session_id": "ses_main_bob", "session_key": "agent:bob:main"}
_OWN: dict[str, Any] = {"session_id": "ses_1", "session_key": "session:1", "owner_id": ANN}
TEXT = ContentRef(part="text", sha256="5eed", bytes=12)

APPENDED = SessionMessageAppended(
    **MAIN,
    message_id="smsg_1",
    owner_id=BOB,
    index=0,
    sequence=9,
    role="user",
    contents=(TEXT,),
    from_agent_id=ANN,
)
READ = SessionMessageRead(**MAIN, message_id="smsg_1", index=0, agent_id=BOB, sender_id=ANN)
NOTIFYING: tuple[Event, ...] = (APPENDED, READ)
SILENT: tuple[Event, ...] = (
    PresetApplied(name="observer", fields={}),
    PresetRemoved(name="observer"),
    SessionCreated(**_OWN, agent_id=ANN),
    SessionBranched(**_OWN, source_id="ses_0", fork_point=0, history_ids=(), history_ends=()),
    SessionDeleted(**_OWN, reason="requested"),
    SessionErased(session_id="ses_1"),
    SessionMessageErased(message_id="smsg_1", session_id="ses_1", reason="requested"),
    SessionValueSet(
        value_id="sval_1", session_id="ses_1", namespace="n", name="k", contents=(TEXT,)
    ),
    SessionValueErased(value_id="sval_1", session_id="ses_1"),
)
