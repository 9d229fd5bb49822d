"""Sample states of the read models of sessions, and the column values that are no field of them."""

from collections.abc import Mapping

from sqlalchemy import Table

from quorate.domain.sessions.presets import Preset
from quorate.domain.sessions.session_messages import SessionMessage
from quorate.domain.sessions.session_values import SessionValue
from quorate.domain.sessions.sessions import Session
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions import presets, session_messages, session_values, sessions
from tests.conformance.projections.mail_rows import Sample

PRESET = Preset(id="observer", fields={"sessions": {"can_send": False}}, updated_at=Timestamp(80))

SESSION = Session(
    id="ses_1",
    key="session:1",
    owner_id="agent_30",
    created_at=Timestamp(81),
    updated_at=Timestamp(82),
    label="label",
    model="model",
    project_id="project",
    message_count=83,
    unread=84,
    value_count=85,
    version=86,
    source_id="ses_0",
    first_index=87,
    history=(("ses_0", 87),),
    branch_count=88,
    deleted_at=Timestamp(89),
    erased_at=Timestamp(90),
)
SESSION_MESSAGE = SessionMessage(
    id="smsg_1",
    session_id="ses_2",
    index=91,
    sequence=92,
    role="tool",
    part="json",
    sha256="1" * 64,
    bytes=93,
    created_at=Timestamp(94),
    from_agent_id="agent_31",
    context_label="coordinator",
    in_reply_to="smsg_0",
    model="small",
    reply_id="smsg_2",
    read_at=Timestamp(95),
    erased_at=Timestamp(96),
)
SESSION_VALUE = SessionValue(
    id="sval_1",
    session_id="ses_3",
    namespace="space",
    name="name",
    bytes=97,
    updated_at=Timestamp(98),
)


def samples(tenant: str) -> Mapping[Table, Sample]:
    return {
        presets.TABLE: (
            PRESET,
            presets.to_row,
            presets.from_row,
            {"tenant": tenant, "fields": '{"sessions":{"can_send":false}}'},
        ),
        sessions.TABLE: (
            SESSION,
            sessions.to_row,
            sessions.from_row,
            {
                "tenant": tenant,
                "details": '{"model":"model","project_id":"project","history":[["ses_0",87]]}',
            },
        ),
        session_messages.TABLE: (
            SESSION_MESSAGE,
            session_messages.to_row,
            session_messages.from_row,
            {"tenant": tenant, "position": 91},
        ),
        session_values.TABLE: (
            SESSION_VALUE,
            session_values.to_row,
            session_values.from_row,
            {"tenant": tenant},
        ),
    }
