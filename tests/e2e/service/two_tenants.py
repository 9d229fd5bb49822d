"""Two tenants with one of everything that has an id, and what each endpoint takes.

The tables name endpoints, path parameters and fields. What is not named here is not tested, so
``test_tenants_never_meet.py`` compares them with the table of endpoints that the service has.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from uuid import uuid4

from pydantic import BaseModel

from quorate.api.routes import ENDPOINTS
from quorate.application.operations import Endpoint
from quorate.domain.identity.api_keys import Role
from quorate.domain.shared.records import record
from tests.e2e.service.http_clients import Agent, Caller, IssuedKey, KeyHolder, Operator, Tenant
from tests.e2e.service.service_process import Json


@record
class Side:
    """One tenant. Names and contacts begin with its id, so that they can be told in any answer."""

    tenant: Tenant
    auditor: KeyHolder
    agent: Agent
    spare_key: str  # The id of a key that nobody uses.
    lease: str
    request: str

    @property
    def callers(self) -> Mapping[Role, Caller]:
        """By what it can be asked: one key of each role, the operator's included."""
        return {
            "admin": self.tenant.operator,
            "tenant": self.tenant,
            "agent": self.agent,
            "auditor": self.auditor,
        }

    def key_of(self, role: Role) -> IssuedKey:
        """Of a role that a tenant's keys have."""
        holders = {"tenant": self.tenant, "agent": self.agent, "auditor": self.auditor}
        return holders[role].issued

    @property
    def contact(self) -> str:
        return f"{self.tenant.id}@example.com"

    @property
    def names(self) -> frozenset[str]:
        """Everything by which this tenant could be recognised."""
        assert self.agent.issued.agent_id is not None
        return frozenset(
            {self.tenant.id, self.agent.id, self.agent.name, self.lease, self.request}
            | {self.contact, self.spare_key, self.agent.issued.id, self.tenant.issued.id}
        )


async def side_of(operator: Operator) -> Side:
    tenant = await operator.tenant()
    agent = await tenant.agent_of(f"{tenant.id}-agent")
    contact = f"{tenant.id}@example.com"
    lease = await agent.lease(agent.id, contact, intent=tenant.id)
    request = await agent.propose(agent.id, reason=tenant.id)
    return Side(
        tenant=tenant,
        auditor=await tenant.auditor(),
        agent=agent,
        spare_key=(await tenant.issue("auditor")).id,
        lease=lease["id"],
        request=request["id"],
    )


# -- What stands in a path or a field ----------------------------------------

Named: TypeAlias = Mapping[str, Callable[[Side], str]]

PATHS: Named = {
    "agent_id": lambda side: side.agent.id,
    "consensus_id": lambda side: side.request,
    "key_id": lambda side: side.spare_key,
    "lease_id": lambda side: side.lease,
}
# Fields of bodies and queries that name something of a tenant.
FIELDS: Named = {
    "agentId": lambda side: side.agent.id,
    "agentName": lambda side: side.agent.name,
    "contactEmail": lambda side: side.contact,
    "proposerAgent": lambda side: side.agent.name,
    "requestingAgentId": lambda side: side.agent.id,
}
SAME_AGENT = ({"agentId", "agentName"}, {"requestingAgentId", "proposerAgent"})
# Here a name does not point to what there is; it is given to something new.
GIVING_NAMES = {("register", "agentName"), ("issueKey", "agentName")}
# Contacts belong to nobody: any agent may try to lease any of them. Only a filter points to one.
FREE_IN_BODIES = {"contactEmail"}
POINTING_NOWHERE = {
    *("action", "after", "agentRole", "durationMinutes", "electorate", "fence", "floor"),
    *("humanizer_enabled", "humanizer_provider", "humanizer_style", "intent", "limit"),
    *("proposerVotes", "reason", "role", "status", "timeoutMinutes", "type", "vote", "wait"),
}
TENANT = "tenantId"  # Has its own tests.
OK = 200

BODIES: Mapping[str, Callable[[Side], Json]] = {
    "acquireLease": lambda side: {"agentId": side.agent.id, "contactEmail": side.contact},
    "castVote": lambda side: {"agentId": side.agent.id, "vote": "approve"},
    "createTenant": lambda _: {TENANT: str(uuid4())},
    "heartbeat": lambda side: {"agentId": side.agent.id},
    "issueKey": lambda side: {"role": "auditor", TENANT: side.tenant.id},
    "putConfig": lambda _: {"humanizer_enabled": True},
    "register": lambda side: {"agentName": side.agent.name},
    "renewLease": lambda _: {"durationMinutes": 60},
    "requestConsensus": lambda side: {
        "requestingAgentId": side.agent.id,
        "action": "act",
        "contactEmail": side.contact,
        "reason": "reason",
    },
    "requestSend": lambda side: {"agentId": side.agent.id, "contactEmail": side.contact},
}
# Where a tenant's key must say whom it asks for.
QUERIES: Mapping[str, Callable[[Side], Mapping[str, str]]] = {
    "listNotifications": lambda side: {"agentId": side.agent.id},
    "streamNotifications": lambda side: {"agentId": side.agent.id},
}
# What the same fields hold when they name nobody.
NOBODY: Mapping[str, Callable[[], str]] = {
    "agent_id": lambda: f"agent_{uuid4()}",
    "agentId": lambda: f"agent_{uuid4()}",
    "agentName": lambda: f"nobody-{uuid4().hex}",
    "consensus_id": lambda: str(uuid4()),
    "contactEmail": lambda: f"{uuid4().hex}@example.com",
    "key_id": lambda: uuid4().hex[:16],
    "lease_id": lambda: str(uuid4()),
    "proposerAgent": lambda: f"nobody-{uuid4().hex}",
    "requestingAgentId": lambda: f"agent_{uuid4()}",
}

# -- The endpoints -----------------------------------------------------------

PRIVATE = [endpoint for endpoint in ENDPOINTS if endpoint.roles]
PUBLIC = [endpoint for endpoint in ENDPOINTS if not endpoint.roles]


def parameters(endpoint: Endpoint) -> list[str]:
    return re.findall(r"{(\w+)}", endpoint.path)


def fields(model: type[BaseModel] | None) -> list[str]:
    """Under the names that callers use."""
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


@record
class Ask:
    """A request to an endpoint, valid for a tenant unless something is put in its place."""

    endpoint: Endpoint
    path: Mapping[str, str]
    body: Json | None
    query: Mapping[str, str]

    @classmethod
    def of(cls, endpoint: Endpoint, side: Side) -> "Ask":
        return cls(
            endpoint=endpoint,
            path={name: PATHS[name](side) for name in parameters(endpoint)},
            body=None if endpoint.body is None else BODIES[endpoint.name](side),
            query=QUERIES[endpoint.name](side) if endpoint.name in QUERIES else {},
        )

    def with_path(self, name: str, value: str) -> "Ask":
        path = {**self.path, name: value}
        return Ask(endpoint=self.endpoint, path=path, body=self.body, query=self.query)

    def with_field(self, name: str, value: str) -> "Ask":
        body = {**_without_rivals(name, self.body or {}), name: value}
        return Ask(endpoint=self.endpoint, path=self.path, body=body, query=self.query)

    def with_query(self, name: str, value: str) -> "Ask":
        query = {**_without_rivals(name, self.query), name: value}
        return Ask(endpoint=self.endpoint, path=self.path, body=self.body, query=query)

    def message(self) -> Json:
        """The same as one message over NATS. Numbers are not text there."""
        numbers = {name: _read(value) for name, value in self.query.items()}
        ids = {camel(name): value for name, value in self.path.items()}
        return {**(self.body or {}), **numbers, **ids}

    async def by(self, caller: Caller, more: Mapping[str, str] | None = None) -> "Said":
        path = self.endpoint.path.format_map(self.path)
        headers = {"X-Request-Id": "the-same", **(more or {})}
        if self.endpoint.streams:
            return await self._opened_by(caller, path, headers)
        response = await caller.ask(
            self.endpoint.method, path, self.body, query=self.query, headers=headers
        )
        return Said(
            status=response.status_code,
            headers=_told(response.headers.multi_items()),
            body=response.content,
        )

    async def _opened_by(self, caller: Caller, path: str, headers: dict[str, str]) -> "Said":
        """Of a stream that opens, only that it does is looked at."""
        if caller.key is not None:
            headers["Authorization"] = f"Bearer {caller.key}"
        async with caller.http.stream("GET", path, params=self.query, headers=headers) as response:
            opened = response.status_code == OK
            body = b"" if opened else await response.aread()
            return Said(
                status=response.status_code,
                headers=_told(response.headers.multi_items()),
                body=body,
            )


def _read(value: str) -> str | int:
    return int(value) if value.isdigit() else value


def camel(name: str) -> str:
    """As a path's parameter is called in a message."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _without_rivals(name: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields that name the same thing in another way are left out."""
    rivals = next((pair for pair in SAME_AGENT if name in pair), set())
    return {key: value for key, value in fields.items() if key not in rivals}


@record
class Said:
    """All that a caller can learn from an answer, but for when it was given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def _told(headers: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value) for name, value in headers if name.lower() != "date"))
