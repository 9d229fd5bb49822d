"""Sample states of the read models of sessions, and the column values that are no field of them."""

from collections.abc import Mapping

from sqlalchemy import Table

from quorate.domain.sessions.presets import Preset
from quorate.domain.sessions.session_messages import SessionMessage
from quorate.domain.sessions.session_values import SessionValue
from quorate.domain.sessions.sessions import Session
from quorate.domain.sessions.task_states import Artifact, Claim, Task, TaskInput
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions import presets, session_messages, session_values, sessions, tasks
from tests.conformance.projections.mail_rows import Sample

PRESET = Preset(id="observer", fields={"sessions": {"can_send": False}}, updated_at=Timestamp(80))
TASK = Task(
    id="task_1",
    sequence=81,
    spawner_id="agent_31",
    preset="router",
    submitted_at=Timestamp(82),
    depth=2,
    timeout_seconds=83,
    times_out_at=Timestamp(84),
    max_attempts=85,
    retention_seconds=86,
    tool_controls={"active_tools": ["classify"]},
    delegate_only=True,
    stored_bytes=87,
    allow_tools=("write_file",),
    deny_tools=("send_document",),
    model="small",
    parent_id="task_0",
    state="input_required",
    version=88,
    is_offered=False,
    retry_at=Timestamp(89),
    attempts=90,
    claim=Claim(worker_id="agent_32", fence=91, expires_at=Timestamp(92)),
    claimed_at=Timestamp(93),
    percent=94,
    message="reading",
    iterations=95,
    tool_calls_made=96,
    content_ids=("output_1", "artifact_1", "input_1", "answer_1"),
    output_ids=("output_1",),
    artifacts=(Artifact(id="artifact_1", name="a.txt", media_type="text/plain", bytes=97),),
    inputs=(TaskInput(id="input_1", kind="input", answer_id="answer_1"),),
    result_id="result_1",
    error="none",
    ended_at=Timestamp(98),
    is_dead_letter=True,
)

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
        tasks.TABLE: (
            TASK,
            tasks.to_row,
            tasks.from_row,
            {
                "tenant": tenant,
                "worker_id": "agent_32",
                "fence": 91,
                "expires_at": 92,
                "due_at": 86_098,
                "details": tasks.to_row(tenant, TASK.id, TASK)[-1],
            },
        ),
    }
