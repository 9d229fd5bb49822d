"""Two tenants with one resource of each kind, and requests for every endpoint.

The tables name endpoints, path parameters and fields. ``test_tenant_isolation.py`` compares them
with the endpoint registry, so every new endpoint is covered.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import uuid4

from pydantic import BaseModel

from quorate.api.routes import ENDPOINTS
from quorate.contracts.operations import AnyOperation, json_name
from quorate.contracts.wire_models import has_snake_case
from quorate.domain.identity.tenants import LIMITS
from quorate.domain.shared.records import record
from quorate.eventlog.serialization import camel
from tests.e2e.service import session_requests
from tests.e2e.service.http_clients import Caller
from tests.e2e.service.service_process import Json
from tests.e2e.service.task_bodies import TASK_BODIES
from tests.e2e.service.tenant_data import TenantData, address_of

# -- Values of paths and fields ----------------------------------------------

Named: TypeAlias = Mapping[str, Callable[[TenantData], str]]

PATHS: Named = {
    "agent_id": lambda side: side.agent.id,
    "consensus_id": lambda side: side.request,
    "delivery_id": lambda side: f"{side.message}.1",
    "message_id": lambda side: side.message,
    "preset_name": lambda side: side.preset,
    "thread_id": lambda side: side.thread,
    "session_message_id": lambda side: side.session_message,
    "key_id": lambda side: side.spare_key,
    "lease_id": lambda side: side.lease,
    "id": lambda side: side.lease,  # Of what is explained.
    "tenant_id": lambda side: side.tenant.id,
    "number": lambda _: "1",
    "task_id": lambda side: side.task["task_id"],
    "schedule_id": lambda side: side.schedule,
    "artifact_id": lambda side: side.artifact,
}
# Of an endpoint that needs another resource than the others.
PATHS_OF: Mapping[str, Named] = {"getAttachment": {"message_id": lambda side: side.attached}}
NON_IDENTIFYING_PATHS = {"number"}
# Fields of bodies and queries that refer to a resource of a tenant.
FIELDS: Named = {
    "agentId": lambda side: side.agent.id,
    "agentName": lambda side: side.agent.name,
    "contactEmail": lambda side: side.contact,
    "fromAddress": lambda side: address_of(side.agent, side.tenant),
    "toAddress": lambda side: address_of(side.agent, side.tenant),
    "inReplyTo": lambda side: side.message,
    "threadId": lambda side: side.thread,
    "preset": lambda side: side.preset,
    "ids": lambda side: side.message,
    **session_requests.FIELDS,
    "proposerAgent": lambda side: side.agent.name,
    "requestingAgentId": lambda side: side.agent.id,
    "id": lambda side: side.item,
}
SAME_AGENT = (
    {"agentId", "agentName"},
    {"agent_id", "agent_name"},
    {"requestingAgentId", "proposerAgent"},
)
# Here the field names a new resource instead of an existing one.
NAME_ASSIGNMENTS = {
    *(("register", "agentName"), ("issueKey", "agentName"), ("putPreset", "preset_name")),
    *session_requests.NEW,
    ("schedule", "preset"),  # Its other actions ignore it.
    ("issueKey", "preset"),  # tests/integration/api/test_presets.py
}
# Any agent may request a lease on any contact. Only a filter refers to an existing contact.
SHARED_IN_BODIES = {"contactEmail"}
# They name no agent: unknown ones are not found.
MAIL_IDS = {"inReplyTo", "threadId", "key", "inheritAgentFrom", "id", "preset"}
NON_IDENTIFYING_FIELDS = {
    *("action", "after", "asOf", "agentRole", "durationMinutes", "electorate", "fence", "floor"),
    *("humanizer_enabled", "humanizer_provider", "humanizer_style", "intent", "limit", "logId"),
    *("proposerVotes", "reason", "role", "status", "timeoutMinutes", "type", "vote", "wait"),
    *("actor", "since", "until", "holder", "incarnation", "onlyIfIdle", "endAgent", "state"),
    *("to", "cc", "subject", "bodyText", "bodyHtml", "importance", "ackRequired", "leaseFence"),
    *("unreadOnly", "kind", "taskId", "cursor", "markRead", "order", "starred", "detail", "mode"),
    *("q", "before", "allow", "block", "tier", "payload", "dedupeKey", "sendReason", "scheduledAt"),
    *("templateId", "format", "model", "description", "delegateOnly", "timeoutSeconds"),
    *("maxAttempts", "tools", "sessions", "toolControls", "withCounts"),
    "templateId",
    *session_requests.NON_IDENTIFYING_FIELDS,
    *("task", "context", "preset", "model", "allowTools", "denyTools", "delegateOnly"),
    *("nonblocking", "activeTools", "toolChoice", "timeoutSeconds", "SessionKey", "presets"),
    *("claimSeconds", "percent", "message", "output", "iterations", "toolCallsMade", "name"),
    *("contentType", "text", "data", "inputId", "error", "outcome"),
    *("listId", "description", "owner", "blockedBy", "expectedVersion", "SessionKey"),
    *("name", "schedule", "preset", "sessionKey", "missed"),
    *("expiresInSeconds", "mailDomain", "overlapSeconds"),
    *map(camel, LIMITS),
}
TENANT = "tenantId"  # Covered by separate tests.
OK = 200


BODIES: Mapping[str, Callable[[TenantData], Json]] = {
    "acquireLease": lambda side: {"agentId": side.agent.id, "contactEmail": side.contact},
    "cancelConsensus": lambda side: {"agentId": side.agent.id, "reason": "reason"},
    "castVote": lambda side: {"agentId": side.agent.id, "vote": "approve"},
    "deregister": lambda side: {"agentId": side.agent.id},
    "createTenant": lambda _: {TENANT: str(uuid4())},
    "heartbeat": lambda side: {"agentId": side.agent.id},
    "issueKey": lambda side: {"role": "auditor", TENANT: side.tenant.id},
    "putConfig": lambda _: {"humanizer_enabled": True},
    "putPreset": lambda _: {"sessions": {"can_send": False}},
    "register": lambda side: {"agentName": side.agent.name},
    "renewLease": lambda _: {"durationMinutes": 60},
    "requestConsensus": lambda side: {
        "requestingAgentId": side.agent.id,
        "action": "act",
        "contactEmail": side.contact,
        "reason": "reason",
    },
    "rotateKey": lambda _: {"overlapSeconds": 604_800},  # The key stays valid.
    "setTenantLimits": lambda _: {},
    "sendMail": lambda side: {
        "to": ["kim@example.com"],
        "in_reply_to": side.message,
    },
    **dict.fromkeys(
        (
            *("starMessage", "markMessageRead", "markMessageUnread", "acknowledgeMessage"),
            *("eraseMessage", "retryDeadLetter", "dropDeadLetter"),
            *("freezeMailAccount", "thawMailAccount"),
        ),
        lambda _: {},
    ),
    **dict.fromkeys(
        (
            *("endLease", "endConsensus", "deactivateAgent", "cancelTask", "requeueTask"),
            *("pauseSchedule", "resumeSchedule", "pauseTenant", "unpauseTenant"),
        ),
        lambda _: {"reason": "reason"},
    ),
    "setMailPolicy": lambda _: {
        "mode": "open",
        "block": ["spam@example.com"],
    },
    "setMailTier": lambda _: {"tier": "trusted"},
    "setMailDomain": lambda _: {"mailDomain": None},
    **session_requests.BODIES,
    **TASK_BODIES,
    "schedule": lambda side: {"action": "pause", "id": side.schedule, "agent_id": side.agent.id},
    "taskList": lambda side: {"action": "update", "id": side.item, "agent_id": side.agent.id},
    "requestSend": lambda side: {
        "agentId": side.agent.id,
        "contactEmail": side.contact,
        "payload": {"subject": "Hello", "text": "Hi"},  # With it, ``threadId`` has a meaning.
    },
}
# Queries in which a tenant key must name the agent.
QUERIES: Mapping[str, Callable[[TenantData], Mapping[str, str]]] = {
    "listNotifications": lambda side: {"agentId": side.agent.id},
    "streamNotifications": lambda side: {"agentId": side.agent.id},
    "searchMail": lambda side: {"agent_id": side.agent.id, "q": side.tenant.id},
    **dict.fromkeys(
        (
            *(
                "sendMail",
                "listInbox",
                "listSentMail",
                "getMailAccount",
                "getMailPolicy",
                *("deleteMessage", "setMailPolicy"),
            ),
            *("starMessage", "markMessageRead", "markMessageUnread", "acknowledgeMessage"),
        ),
        lambda side: {"agent_id": side.agent.id},
    ),
    **dict.fromkeys(  # An admin key must name the tenant.
        (
            *(
                "eraseSessionMessage",
                "eraseMessage",
                "listDeadLetters",
                "retryDeadLetter",
                "dropDeadLetter",
            ),
            *("freezeMailAccount", "thawMailAccount", "setMailTier"),
            *("cancelTask", "requeueTask", "retryTask", "pauseSchedule", "resumeSchedule"),
        ),
        lambda side: {"tenant_id": side.tenant.id},
    ),
    **dict.fromkeys(
        ("endLease", "endConsensus", "deactivateAgent"),
        lambda side: {TENANT: side.tenant.id},
    ),
}
# Values of the same fields that refer to no resource.
UNKNOWN_VALUES: Mapping[str, Callable[[], str]] = {
    "agent_id": lambda: f"agent_{uuid4()}",
    "agentId": lambda: f"agent_{uuid4()}",
    "agentName": lambda: f"unknown-{uuid4().hex}",
    "consensus_id": lambda: str(uuid4()),
    "contactEmail": lambda: f"{uuid4().hex}@example.com",
    "delivery_id": lambda: f"msg_{uuid4().hex}.1",
    "message_id": lambda: f"msg_{uuid4().hex}",
    "preset": lambda: f"unknown-{uuid4().hex}",
    "preset_name": lambda: f"unknown-{uuid4().hex}",
    "schedule_id": lambda: f"sched_{uuid4().hex}",
    "thread_id": lambda: f"thr_{uuid4().hex}",
    **session_requests.UNKNOWN_VALUES,
    "fromAddress": lambda: f"{uuid4().hex}@example.com",
    "toAddress": lambda: f"{uuid4().hex}@example.com",
    "inReplyTo": lambda: f"msg_{uuid4().hex}",
    "threadId": lambda: f"thr_{uuid4().hex}",
    "ids": lambda: f"msg_{uuid4().hex}",
    "number": lambda: "99",
    "key_id": lambda: uuid4().hex[:16],
    "lease_id": lambda: str(uuid4()),
    "tenant_id": lambda: str(uuid4()),
    "task_id": lambda: f"task_{uuid4().hex}",
    "artifact_id": lambda: f"artifact_{uuid4().hex}",
    "proposerAgent": lambda: f"unknown-{uuid4().hex}",
    "requestingAgentId": lambda: f"agent_{uuid4()}",
    "id": lambda: f"item_{uuid4().hex}",
}

# Bodies that are not JSON.
RAW_BODIES = {"receiveMail": "From: kim@example.com\r\nTo: lee@example.org\r\n\r\nHello.\r\n"}

# -- Endpoints ---------------------------------------------------------------

PRIVATE = [endpoint for endpoint in ENDPOINTS if endpoint.roles]
PUBLIC = [endpoint for endpoint in ENDPOINTS if not endpoint.roles]


def parameters(endpoint: AnyOperation) -> list[str]:
    return re.findall(r"{(\w+)}", endpoint.path)


def fields(model: type[BaseModel] | None) -> list[str]:
    """Return the field names in camelCase; mail has snake_case names on the wire."""
    if model is None:
        return []
    names = [field.alias or name for name, field in model.model_fields.items()]
    return [camel(name) for name in names] if has_snake_case(model) else names


def wire_name(endpoint: AnyOperation, name: str) -> str:
    return _snake(name) if endpoint.has_snake_case else name


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _path_value(endpoint: AnyOperation, name: str) -> Callable[[TenantData], str]:
    return PATHS_OF.get(endpoint.name, {}).get(name, PATHS[name])


@record
class EndpointRequest:
    """A valid request of a tenant to an endpoint, with optional replacements."""

    endpoint: AnyOperation
    path: Mapping[str, str]
    body: Json | None
    query: Mapping[str, str]

    @classmethod
    def of(cls, endpoint: AnyOperation, side: TenantData) -> "EndpointRequest":
        return cls(
            endpoint=endpoint,
            path={name: _path_value(endpoint, name)(side) for name in parameters(endpoint)},
            body=None if endpoint.body is None else BODIES[endpoint.name](side),
            query=QUERIES[endpoint.name](side) if endpoint.name in QUERIES else {},
        )

    def with_path(self, name: str, value: str) -> "EndpointRequest":
        path = {**self.path, name: value}
        return EndpointRequest(endpoint=self.endpoint, path=path, body=self.body, query=self.query)

    def with_field(self, name: str, value: str) -> "EndpointRequest":
        name = wire_name(self.endpoint, name)
        body = {**_without_rivals(name, self.body or {}), name: value}
        return EndpointRequest(endpoint=self.endpoint, path=self.path, body=body, query=self.query)

    def with_query(self, name: str, value: str) -> "EndpointRequest":
        name = wire_name(self.endpoint, name)
        query = {**_without_rivals(name, self.query), name: value}
        return EndpointRequest(endpoint=self.endpoint, path=self.path, body=self.body, query=query)

    def message(self) -> Json:
        """Return the same request as one NATS message, with numbers as numbers."""
        numbers = {name: _read(value) for name, value in self.query.items()}
        ids = {json_name(self.endpoint, name): value for name, value in self.path.items()}
        return {**numbers, **(self.body or {}), **ids}  # As over HTTP, the body has precedence.

    async def send_as(
        self, caller: Caller, more: Mapping[str, str] | None = None
    ) -> "EndpointResponse":
        path = self.endpoint.path.format_map(self.path)
        headers = {"X-Request-Id": "the-same", **(more or {})}
        if self.endpoint.streams:
            return await self._open_stream_as(caller, path, headers)
        if self.endpoint.has_raw_body:
            headers["Content-Type"] = self.endpoint.body_media
        response = await caller.request(
            *(self.endpoint.method, path, self.body),
            content=RAW_BODIES.get(self.endpoint.name),
            query=self.query,
            headers=headers,
        )
        return EndpointResponse(
            status=response.status_code,
            headers=_comparable_headers(response.headers.multi_items()),
            body=response.content,
        )

    async def _open_stream_as(
        self, caller: Caller, path: str, headers: dict[str, str]
    ) -> "EndpointResponse":
        """Open a stream; the body is read only if the stream was rejected."""
        if caller.key is not None:
            headers["Authorization"] = f"Bearer {caller.key}"
        async with caller.http.stream("GET", path, params=self.query, headers=headers) as response:
            opened = response.status_code == OK
            body = b"" if opened else await response.aread()
            return EndpointResponse(
                status=response.status_code,
                headers=_comparable_headers(response.headers.multi_items()),
                body=body,
            )


def _read(value: str) -> str | int:
    return int(value) if value.isdigit() else value


def _without_rivals(name: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Remove fields that identify the same resource in another way."""
    rivals = next((pair for pair in SAME_AGENT if name in pair), set())
    return {key: value for key, value in fields.items() if key not in rivals}


@record
class EndpointResponse:
    """All parts of a response that a caller can observe, except the date."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def without(self, value: str) -> "EndpointResponse":
        """Return the response without a value that it repeats from its request."""
        headers = tuple(one for one in self.headers if one[0].lower() != "content-length")
        body = self.body.replace(value.encode(), b"*")
        return EndpointResponse(status=self.status, headers=headers, body=body)


def _comparable_headers(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Leave out the date, and what is left of the caller's own rate limit."""
    return tuple(
        sorted(
            (name, value)
            for name, value in headers
            if name.lower() != "date" and not name.lower().startswith("ratelimit-")
        )
    )
