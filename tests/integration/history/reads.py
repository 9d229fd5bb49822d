"""Requests of every operation that has a past, about everything that ever existed in a log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Table, select

from quorate.contracts.as_of import has_past
from quorate.contracts.registry import OPERATIONS
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import OPERATORS
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.transactions import UnpackedQuery
from quorate.projections import tables
from quorate.projections.history.tables import HISTORY
from tests.integration.history.past_services import Read

UNKNOWN = "unknown"
OPERATIONS_WITH_PAST = tuple(one.name for one in OPERATIONS if has_past(one))
_TABLES: Mapping[str, Table] = {
    "agents": tables.agents,
    "leases": tables.leases,
    "requests": tables.requests,
    "messages": tables.messages,
    "threads": tables.mail_threads,
    "presets": tables.presets,
    "tasks": tables.tasks,
}
Ids: TypeAlias = Mapping[str, Sequence[str]]


async def find_ids(log: EventStore, tenant: str) -> Ids:
    """Return the ids of all that a tenant has or had, and one that is unknown."""
    found: dict[str, Sequence[str]] = {}
    async with log.read() as transaction:
        for name, table in _TABLES.items():
            history = HISTORY[table]
            ids = select(history.c.id).distinct().where(history.c.tenant == tenant)
            query = UnpackedQuery(ids.order_by(history.c.id), log.database.dialect)
            found[name] = [*(row.id for row in await transaction.fetch(query, {})), UNKNOWN]
    return found


class Reads:
    """Makes requests of one tenant's keys, and of the operators'."""

    def __init__(self, tenant: str, ids: Ids) -> None:
        self._ids = ids
        self._key = Principal(key_id="keytenant", role="tenant", tenant=tenant)
        self._admin = Principal(key_id="keyadmin", role="admin", tenant=OPERATORS)
        self._tenant = tenant
        self._makers: Mapping[str, Callable[[str], Iterator[Read]]] = {
            "listAgents": self._agents,
            "getAgent": self._one("agents", "agent_id"),
            "getConfig": self._one("agents", "agent_id"),
            "getLease": self._one("leases", "lease_id"),
            "listLeases": self._list_by("contactEmail", "kim@example.com", "no@example.com"),
            "getConsensus": self._one("requests", "consensus_id"),
            "listConsensus": self._list_by("status", "pending", "approved", "expired", "rejected"),
            "listVotes": self._one("requests", "consensus_id", limit=2),
            "listElectorate": self._one("requests", "consensus_id", limit=2),
            "listNotifications": self._of_agents("agentId"),
            "listEvents": self._list,
            "explain": self._explain,
            "listInbox": self._inbox,
            "listSentMail": self._of_agents("agent_id"),
            "getMessage": self._one("messages", "message_id"),
            "getAttachment": self._attachment,
            "getThread": self._one("threads", "thread_id", limit=2),
            "getMailAccount": self._of_agents("agent_id"),
            "getMailPolicy": self._of_agents("agent_id"),
            "getUnreadMail": self._once,
            "listDeadLetters": self._list_by("status", "held"),
            "getPreset": self._one("presets", "preset_name"),
            "listPresets": self._list,
            "getTask": self._one("tasks", "task_id"),
            "getArtifact": self._artifact,
            "listDeadTasks": self._list_by("state", "open", "ended", "submitted", "working"),
            "listSessions": self._list,
            "listListTasks": self._list,
            "listSchedules": self._list,
            "listKeys": self._list,
            "listTenants": self._tenants,
            "getTenant": self._of_operators,
            "getMailDomain": self._of_operators,
        }
        assert self._makers.keys() == set(OPERATIONS_WITH_PAST)

    def of(self, operation: str) -> list[Read]:
        return list(self._makers[operation](operation))

    def all(self) -> list[Read]:
        return [read for operation in OPERATIONS_WITH_PAST for read in self.of(operation)]

    def _read(self, operation: str, path: dict[str, str] | None = None, /, **query: Any) -> Read:  # noqa: ANN401
        return Read(operation=operation, principal=self._key, path=path or {}, query=query)

    def _one(self, kind: str, name: str, **query: Any) -> Callable[[str], Iterator[Read]]:  # noqa: ANN401
        def make(operation: str) -> Iterator[Read]:
            for id_ in self._ids[kind]:
                yield self._read(operation, {name: id_}, **query)

        return make

    def _once(self, operation: str) -> Iterator[Read]:
        yield self._read(operation)

    def _list(self, operation: str) -> Iterator[Read]:
        yield self._read(operation)
        yield self._read(operation, limit=2)

    def _list_by(self, name: str, *values: str) -> Callable[[str], Iterator[Read]]:
        def make(operation: str) -> Iterator[Read]:
            yield from self._list(operation)
            for value in values:
                yield self._read(operation, **{name: value})
                yield self._read(operation, limit=1, **{name: value})

        return make

    def _agents(self, operation: str) -> Iterator[Read]:
        yield from self._list_by("status", "active", "inactive", "deregistered")(operation)
        yield self._read(operation, withCounts="false")

    def _of_agents(self, name: str) -> Callable[[str], Iterator[Read]]:
        def make(operation: str) -> Iterator[Read]:
            for id_ in self._ids["agents"]:
                yield self._read(operation, **{name: id_})

        return make

    def _inbox(self, operation: str) -> Iterator[Read]:
        for id_ in self._ids["agents"]:
            yield self._read(operation, agent_id=id_)
            yield self._read(operation, agent_id=id_, unread_only="true", limit=2)
            yield self._read(operation, agent_id=id_, since="0", limit=2)
        for thread in self._ids["threads"][:2]:
            yield self._read(operation, agent_id=self._ids["agents"][0], thread_id=thread)

    def _explain(self, operation: str) -> Iterator[Read]:
        ids = [*self._ids["leases"][:3], *self._ids["requests"][:3], *self._ids["tasks"][:2]]
        for id_ in [*ids, "9", "40", UNKNOWN]:
            yield self._read(operation, {"id": id_})

    def _attachment(self, operation: str) -> Iterator[Read]:
        for id_ in self._ids["messages"]:
            yield self._read(operation, {"message_id": id_, "number": "1"})

    def _artifact(self, operation: str) -> Iterator[Read]:
        for id_ in self._ids["tasks"]:
            yield self._read(operation, {"task_id": id_, "artifact_id": "1"})

    def _tenants(self, operation: str) -> Iterator[Read]:
        yield Read(operation=operation, principal=self._admin, path={}, query={})

    def _of_operators(self, operation: str) -> Iterator[Read]:
        path = {"tenant_id": self._tenant}
        yield Read(operation=operation, principal=self._admin, path=path, query={})
