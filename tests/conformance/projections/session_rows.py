"""Sample states of the read models of sessions, and the column values that are no field of them."""

from collections.abc import Mapping

from sqlalchemy import Table

from quorate.domain.sessions.presets import Preset
from quorate.domain.sessions.task_states import Artifact, Claim, Task, TaskInput
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions import presets, tasks
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


def samples(tenant: str) -> Mapping[Table, Sample]:
    return {
        presets.TABLE: (
            PRESET,
            presets.to_row,
            presets.from_row,
            {"tenant": tenant, "fields": '{"sessions":{"can_send":false}}'},
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
