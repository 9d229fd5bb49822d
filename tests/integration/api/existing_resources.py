"""The resources that generated requests name: their placeholders, and how they are created.

The ids exist only after the service has started, so the narrowed document has placeholders.
"""

from collections.abc import Mapping
from typing import Any

from tests.integration.api.raw_clients import RunningService

NAMES = ["ann", "Bob", "c.d_e-f"]
KEEPER = "keeper"  # No generated request registers it again, which would end what it holds.
CONTACTS = ["a@example.com", "B@Example.com", "b@example.com", "c@m\u00fcnchen.example"]
KEYS_MAX = 3
AGENTS = [f"agent-{number}" for number in range(len(NAMES))]
LEASES = [f"lease-{number}" for number in range(len(CONTACTS))]
REQUESTS = [f"request-{number}" for number in range(5)]
KEYS = [f"key-{number}" for number in range(KEYS_MAX)]
MESSAGES = [f"message-{number}" for number in range(3)]
THREADS = [f"thread-{number}" for number in range(3)]
DELIVERIES = [f"delivery-{number}" for number in range(3)]
SESSIONS = [f"agent:{KEEPER}:main", f"agent:{KEEPER}:plan"]
PRESETS = ["observer", "reader"]
OTHER_TENANT = "other"
_COORDINATION = "/v1/agent/coordination"
_HOUR_SECONDS = 3_600

KNOWN_VALUES: dict[str, list[Any]] = {
    "tenantId": ["default"],
    "tenant_id": ["default"],
    "agent_id": AGENTS,
    "agent_name": NAMES,
    "to": [["ann@agents.localhost"], ["kim@example.com", "Bob@agents.localhost"]],
    "cc": [[], ["c@example.com"]],
    "message_id": MESSAGES,
    "thread_id": THREADS,
    "delivery_id": DELIVERIES,
    "agentName": NAMES,
    "proposerAgent": NAMES,
    "agentId": AGENTS,
    "requestingAgentId": AGENTS,
    "contactEmail": CONTACTS,
    "leaseId": LEASES,
    "consensusId": REQUESTS,
    "keyId": KEYS,
    "preset_name": PRESETS,
    "preset": ["observer"],
    "_session_key": SESSIONS[:1],
    "session_message_id": ["session-message"],
    "inherit_agent_from": SESSIONS,
    "tool_choice": ["auto", {"type": "none"}],
    "asOf": [20, 60],
}
# Fields that would give conflicts only.
UNUSED_FIELDS = {"holder", "incarnation", "onlyIfIdle", "in_reply_to", "lease_fence"}
_KEEPER: dict[str, list[Any] | None] = {"agent_id": None, "agent_name": [KEEPER]}
_READ_TASK = {**_KEEPER, "task_id": ["task-addArtifact"]}
_OTHER_TENANT: dict[str, list[Any] | None] = {"tenantId": [OTHER_TENANT]}
# Each of these has a task of its own, which ``KEEPER`` has claimed.
TASK_OPERATIONS = (
    *("renewTask", "reportProgress", "addArtifact", "requestInput", "completeTask", "failTask"),
    *("releaseTask", "answerTask", "cancelSpawn", "cancelTask", "requeueTask"),
)
# The values in one operation, in place of the known ones; None leaves a field out. An operation
# that ends something has something of its own to end.
OPERATION_VALUES: Mapping[str, dict[str, list[Any] | None]] = {
    "deregister": {"agentId": ["agent-leaving"], "agentName": None},
    "removeAgent": {"agentId": ["agent-left"]},
    "releaseLease": {"leaseId": LEASES[:1]},
    "endLease": {"leaseId": LEASES[:1]},
    "deactivateAgent": {"agentId": ["agent-left"]},
    "revokeKey": {"keyId": KEYS[:1]},
    "rotateKey": {"keyId": KEYS[:1]},
    "deletePreset": {"preset_name": ["ending"]},
    "getAttachment": {
        "message_id": ["message-with-file"],
        "number": [1],
        "agent_id": AGENTS[:1],
        "agent_name": NAMES[:1],
    },
    "suspendTenant": _OTHER_TENANT,
    "resumeTenant": _OTHER_TENANT,
    "pauseTenant": _OTHER_TENANT,
    "unpauseTenant": _OTHER_TENANT,
    "setTenantLimits": _OTHER_TENANT,
    "getMailDomain": _OTHER_TENANT,
    "setMailDomain": {**_OTHER_TENANT, "mailDomain": ["mail.example", None]},
    "sessionsCreate": {"key": ["session:shared", "agent:ann:new", *SESSIONS]},
    "sessionsDelete": {**_KEEPER, "key": [f"agent:{KEEPER}:ending"]},
    "branchSession": {**_KEEPER, "key": SESSIONS, "fork_point": [0, 1]},
    "sessionState": _KEEPER,
    "sessionsHistory": {**_KEEPER, "key": SESSIONS},
    "sessionsSearch": {"query": ["hello", "hello world", "nothing"]},
    "sessionsSend": {"key": SESSIONS},
    "spawnAgent": {"preset": ["reader"]},
    **{
        name: {
            **_KEEPER,
            "task_id": [f"task-{name}"],
            "fence": [f"fence-{name}"],
            "claim_seconds": None,
        }
        for name in TASK_OPERATIONS
    },
    "answerTask": {**_KEEPER, "task_id": ["task-answerTask"], "input_id": ["input"]},
    "getTask": _READ_TASK,
    "spawnStatus": _READ_TASK,
    "spawnResult": _READ_TASK,
    "getArtifact": {**_READ_TASK, "artifact_id": ["artifact"]},
    "retryTask": {"task_id": ["task-dead"]},
    "pauseSchedule": {"schedule_id": ["operated-schedule"]},
    "resumeSchedule": {"schedule_id": ["operated-schedule"]},
    "explain": {"id": [*LEASES, "lease_conflict", "1"]},
    "claimTask": {"presets": [["-"], ["reader", "-"]]},
    "taskList": {
        **_KEEPER,
        "action": [
            *("create", "list", "list_lists", "get", "update", "claim", "release", "delete"),
            *("follow", "unfollow"),
        ],
        "id": ["1"],
        "list_id": ["work", "*"],
        "status": ["pending", "in_progress", "completed"],
        "owner": [KEEPER, f"agent:{KEEPER}:main"],
        "blocked_by": [[], ["1"]],
    },
    "schedule": {
        **_KEEPER,
        "action": ["create", "list", "get", "pause", "resume", "delete", "run_now"],
        "id": ["schedule"],
        "schedule": [
            {"every_seconds": _HOUR_SECONDS},
            {"cron": "0 8 * * *", "timezone": "Europe/Berlin"},
        ],
        "payload": [{"kind": "agentTurn", "message": "Good morning"}],
        "preset": ["reader"],
        "session_key": SESSIONS,
    },
}


def create_resources(service: RunningService) -> dict[str, Any]:
    """Create everything that the placeholders stand for; return the values by placeholder."""

    def create(path: str, **body: object) -> str:
        return str(_ok(service, "POST", path, body)["id"])

    proposal = {"action": "a", "reason": "b", "contactEmail": "a@example.com", "timeoutMinutes": 60}
    create("/v1/agent/register", agentName=KEEPER)
    left = create("/v1/agent/register", agentName="left")
    _ok(service, "POST", "/v1/agent/deregister", {"agentId": left})
    _ok(service, "POST", "/v1/tenants", {"tenantId": OTHER_TENANT}, key=service.admin_key)
    return {
        "agent-left": left,
        "agent-leaving": create("/v1/agent/register", agentName="leaving"),
        **{
            agent: create("/v1/agent/register", agentName=name)
            for agent, name in zip(AGENTS, NAMES, strict=True)
        },
        **{
            lease: create(f"{_COORDINATION}/lease", agentName=KEEPER, contactEmail=f"{lease}@a.eu")
            for lease in LEASES
        },
        **{
            request: create(f"{_COORDINATION}/consensus", proposerAgent="ann", **proposal)
            for request in REQUESTS
        },
        **{key: create("/v1/keys", role="auditor") for key in KEYS},
        **_messages(service),
        **_sessions(service),
        **_tasks(service),
    }


def keep_active(service: RunningService) -> None:
    """Send a heartbeat of each agent, so that what it holds does not end meanwhile."""
    for name in (KEEPER, *NAMES):
        _ok(service, "POST", "/v1/agent/coordination/heartbeat", {"agentName": name})


def mail_server_key(service: RunningService) -> str:
    return str(_ok(service, "POST", "/v1/keys", {"role": "mail"})["key"])


def _ok(
    service: RunningService, method: str, path: str, body: object, *, key: str | None = None
) -> Any:  # noqa: ANN401 - JSON.
    response = service.request(method, path, body, key=key)
    assert response.status == 200, (path, response.body)
    return response.json


def _messages(service: RunningService) -> dict[str, str]:
    """Send messages of one agent to all agents and to a person, and one with a file to it."""
    found: dict[str, str] = {}
    addresses = [f"{name}@agents.localhost" for name in NAMES]
    for names in zip(MESSAGES, THREADS, DELIVERIES, strict=True):
        body = {"agent_name": NAMES[0], "to": ["kim@example.com", *addresses]}
        sent = _ok(service, "POST", "/email/send", body)
        message_id = str(sent["message_id"])
        found |= dict(zip(names, (message_id, sent["thread_id"], f"{message_id}.0"), strict=True))
    raw = (
        f"From: kim@example.com\r\nTo: {addresses[0]}\r\nContent-Type: text/csv; name=a.csv\r\n"
        "Content-Disposition: attachment\r\n\r\na,b\r\n"
    ).encode()
    received = service.request(
        *("POST", "/email/inbound", raw),
        key=mail_server_key(service),
        Content_Type="message/rfc822",
    )
    assert received.status == 200, received.body
    return found | {"message-with-file": received.json["message_id"]}


def _sessions(service: RunningService) -> dict[str, str]:
    """Create presets, sessions with a message, a task list and a schedule."""
    for name in (*PRESETS, "ending"):
        _ok(service, "PUT", f"/v1/presets/{name}", {"max_attempts": 1})
    for key in (*SESSIONS, f"agent:{KEEPER}:ending"):
        _tool(service, "sessions_create", key=key)
        _tool(service, "sessions_send", key=key, message="hello world")
    history = _tool(service, "sessions_history", key=SESSIONS[0])
    _tool(service, "task_list", action="create", list_id="work", subject="one")
    turn = {"kind": "agentTurn", "message": "Wake up"}
    daily = {"every_seconds": 24 * _HOUR_SECONDS}
    made = {
        name: _tool(service, "schedule", action="create", schedule=daily, payload=turn)
        for name in ("schedule", "operated-schedule")
    }
    return {
        "session-message": history["messages"][0]["id"],
        **{name: one["schedule"]["id"] for name, one in made.items()},
    }


def _tasks(service: RunningService) -> dict[str, Any]:
    """Create claimed tasks, one with a file and one with a question, and a dead letter."""
    found: dict[str, Any] = {}
    for name in TASK_OPERATIONS:
        claimed = _claimed_task(service)
        found |= {f"task-{name}": claimed["task_id"], f"fence-{name}": claimed["fence"]}
    file = {"name": "a.txt", "text": "a"}
    dead = _claimed_task(service, "reader")
    ended = {"fence": dead["fence"], "error": "busy", "outcome": "retry"}
    _work(service, dead["task_id"], "fail", ended)
    return found | {
        "task-dead": dead["task_id"],
        "artifact": _report(service, found, "addArtifact", "artifacts", file),
        "input": _report(service, found, "answerTask", "input", {"text": "which?"}),
    }


def _claimed_task(service: RunningService, preset: str | None = None) -> Any:  # noqa: ANN401
    _tool(
        service,
        "spawn_agent",
        task="t",
        nonblocking=True,
        timeout_seconds=24 * _HOUR_SECONDS,
        **({} if preset is None else {"preset": preset}),
    )
    claim = {"presets": [preset or "-"], "claim_seconds": _HOUR_SECONDS, "agent_name": KEEPER}
    return _ok(service, "POST", "/v1/tasks/claim", claim)["task"]


def _report(
    service: RunningService, tasks: Mapping[str, Any], name: str, part: str, body: dict[str, Any]
) -> str:
    held = body | {"fence": tasks[f"fence-{name}"]}
    return str(_work(service, tasks[f"task-{name}"], part, held)["id"])


def _work(service: RunningService, task_id: str, part: str, body: dict[str, Any]) -> Any:  # noqa: ANN401
    return _ok(service, "POST", f"/v1/tasks/{task_id}/{part}", body | {"agent_name": KEEPER})


def _tool(service: RunningService, name: str, **body: object) -> Any:  # noqa: ANN401 - JSON.
    return _ok(service, "POST", f"/v1/tools/{name}", {**body, "agent_name": KEEPER})
