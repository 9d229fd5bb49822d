"""Submit random commands of a few agents to a real command bus, with a clock set by the test.

Every command type and every event type occurs. The same seed gives the same history.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from quorate.domain.coordination import (
    cancellations,
    consensus,
    lease_grants,
    leases,
    send_gate,
)
from quorate.domain.identity import agent_departures, agent_settings, agents, api_keys, tenants
from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.identity.tenants import OPERATORS
from quorate.domain.mail.domains import SetMailDomain
from quorate.domain.shared.email_addresses import EmailAddress
from quorate.domain.shared.state import Command
from quorate.domain.shared.timestamps import Timestamp, instant
from quorate.eventlog.archive.export_format import encode_line
from quorate.eventlog.command_bus import CommandBus
from quorate.eventlog.database import Database
from quorate.eventlog.envelopes import CommandEnvelope, CommandResult, Idempotency, Rejected
from quorate.eventlog.event_filter import Filter
from quorate.eventlog.event_store import EventStore
from quorate.eventlog.hash_chain import public_event
from quorate.eventlog.ids import Uuid7
from quorate.eventlog.sqlite.database import SqliteDatabase
from quorate.projections.deadlines import DueAggregates
from quorate.projections.migrations.schema import SCHEMA
from quorate.projections.state_store import SqlStateStore
from tests.conformance.projections.random_lists import RandomLists
from tests.conformance.projections.random_mail import RandomMail
from tests.conformance.projections.random_schedules import RandomSchedules
from tests.conformance.projections.random_sessions import RandomSessions
from tests.conformance.projections.random_tasks import RandomTasks

TENANTS = ("acme", "umbrella")
NAMES = ("ann", "bob", "cid", "dee")
CONTACTS = ("kim@example.com", "lee@example.com", "max@example.com")
WINDOW_SECONDS = 300.0
NOON = instant("2026-03-01T12:00:00.000Z")
EVENTS_MAX = 100_000
_PENDING = Rejected(code="pending", facts={}, sequence=0)
COMMANDS_PER_ROUND_MAX = 32
_JUMPS_SECONDS = (*(0, 1, 5, 15, 40) * 5, 400)


class RandomHistory:
    """Two tenants with agents that execute random commands."""

    def __init__(
        self, target: Path | Database, seed: int, *, mail: bool = True, schedules: bool = False
    ) -> None:
        """``schedules``: contain schedules also without mail."""
        self._mail_weight = 40 if mail else 0
        self._schedule_weight = 10 if mail or schedules else 0
        self.now = NOON
        self.results: list[CommandResult] = []  # In the order of submission.
        self.log = EventStore(SqliteDatabase(target) if isinstance(target, Path) else target)
        self._random = random.Random(seed)
        self._new_id = Uuid7(random.Random(seed).randbytes)
        self._overdue = DueAggregates(self.log)
        self._agent_ids: dict[str, dict[str, str]] = {
            tenant: {} for tenant in (*TENANTS, OPERATORS)
        }
        self._agent_of_key: dict[str, str] = {}
        self._leases: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self._requests: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self._keys: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}
        self._mail = RandomMail(self._random, NAMES, CONTACTS)
        self._sessions = RandomSessions(self._random, NAMES)
        self._lists = RandomLists(self._random, NAMES)
        self._schedules = RandomSchedules(self._random)
        self._tasks = RandomTasks(self._random)
        self._counter = 0
        self._bus = CommandBus(
            self.log,
            SqlStateStore(self.log.database),
            clock=lambda: self.now,
            new_id=self._new_id,
            window_seconds=WINDOW_SECONDS,
        )

    async def __aenter__(self) -> Self:
        await self.log.open(SCHEMA)
        self._bus.open()
        for tenant in TENANTS:
            await self._submit(tenant, tenants.CreateTenant(tenant_id=tenant))
            caller = Principal(key_id="keytenant", role="tenant", tenant=tenant)
            for name in NAMES[:3]:
                await self._submit(tenant, self._register(tenant, caller, AgentRef(name=name)))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._bus.close()
        await self.log.close()

    async def run(self, rounds: int) -> None:
        """Submit one batch of commands in each round, then advance the clock."""
        for _ in range(rounds):
            count = self._random.randint(1, COMMANDS_PER_ROUND_MAX)
            await asyncio.gather(*(self._submit(*self._random_command()) for _ in range(count)))
            self.now = Timestamp(self.now + self._random.choice(_JUMPS_SECONDS) * 1_000)
            if self._random.random() < 0.3:
                await self.record_due()
        for tenant in TENANTS:  # So that a service can be asked about the history.
            await self._submit(tenant, tenants.ResumeTenant(tenant_id=tenant))
            await self._submit(tenant, tenants.UnpauseTenant(tenant_id=tenant))

    async def create_operators(self) -> None:
        """Begin the log of the operators."""
        await self._submit(OPERATORS, tenants.CreateTenant(tenant_id=OPERATORS))

    async def record_due(self) -> None:
        """Record passed deadlines; sorted, because databases order equal deadlines differently."""
        for one in sorted(await self._overdue.find(self.now), key=repr):
            await self._submit(one.tenant, one.command)

    async def events(self, tenant: str) -> Sequence[Mapping[str, Any]]:
        """Return the tenant's log as it is exported."""
        page = await self.log.page(tenant, 0, EVENTS_MAX, Filter())
        return [public_event(event) for event in page.events]

    async def export(self, tenant: str, path: Path) -> None:
        path.write_bytes(b"".join(encode_line(dict(event)) for event in await self.events(tenant)))

    async def _submit(self, tenant: str, command: Command) -> None:
        envelope = CommandEnvelope(
            tenant=tenant,
            actor="keytenant",
            command_id=self._new_id(self.now),
            command=command,
            render=orjson.dumps,
            idempotency=self._idempotency(command),
        )
        position = len(self.results)
        self.results.append(_PENDING)
        result = self.results[position] = await self._bus.submit(envelope)
        if isinstance(result, Rejected):
            self._schedules.note_rejected(tenant, command)
            self._lists.note_rejected(tenant, command)
            self._tasks.note_rejected(tenant, command)
            return
        self._mail.note(tenant, command)
        self._sessions.note(tenant, command)
        self._schedules.note(tenant, command, self._agent_ids[tenant])
        self._lists.note(tenant, command, result.body)
        self._tasks.note(tenant, command, result.body)
        match command:
            case lease_grants.AcquireLease():
                self._leases[tenant].append(command.new_lease_id)
            case consensus.RequestConsensus():
                self._requests[tenant].append(command.new_request_id)
            case agent_departures.RemoveAgent() | agent_departures.ForgetAgent():
                self._agent_ids[tenant] = {
                    name: known
                    for name, known in self._agent_ids[tenant].items()
                    if known != command.agent_id
                }
            case agents.RegisterAgent():
                self._note_agent(tenant, command.agent_name, command.new_agent_id)
            case api_keys.RotateKey():
                self._keys[tenant].append(command.new_key_id)
                self._agent_of_key[command.new_key_id] = command.agent_id or ""
            case api_keys.IssueKey():
                self._keys[tenant].append(command.key_id)
                name = command.agent_name or ""
                self._note_agent(tenant, name, command.new_agent_id)
                self._agent_of_key[command.key_id] = self._agent_ids[tenant][name.lower()]
            case _:
                pass

    def _idempotency(self, _command: Command) -> Idempotency | None:
        return None

    def _note_agent(self, tenant: str, name: str, agent_id: str) -> None:
        """Note the id of a name: the first agent with this name keeps it."""
        self._agent_ids[tenant].setdefault(name.lower(), agent_id)

    # -- Random commands -----------------------------------------------------------

    def _random_command(self) -> tuple[str, Command]:
        tenant = self._random.choice(TENANTS)
        caller = Principal(key_id="keytenant", role="tenant", tenant=tenant)
        ref = AgentRef(name=self._random.choice(NAMES))
        kinds = (
            *([self._heartbeat] * 16),
            *([self._lease] * 8),
            *([self._vote] * 14),
            *([self._register] * 14),
            *([self._end_of_lease] * 6),
            *([self._propose] * 5),
            *([self._send] * 2),
            *([self._configure] * 2),
            *([self._key] * 4),
            *([self._depart] * 3),
            *([self._cancel] * 2),
            *([self._administer] * 2),
            *([self._exchange_mail] * self._mail_weight),
            *([self._use_sessions] * (self._mail_weight // 2)),
            *([self._spawn] * (self._mail_weight // 2)),
            *([self._change_list] * 10),
            *([self._schedule] * self._schedule_weight),
        )
        return tenant, self._random.choice(kinds)(tenant, caller, ref)

    def _exchange_mail(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return self._mail.command(tenant, caller, ref, self._agent_ids[tenant], self.now)

    def _use_sessions(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return self._sessions.command(tenant, caller, ref, self._agent_ids[tenant])

    def _change_list(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return self._lists.command(tenant, caller, ref)

    def _schedule(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return self._schedules.command(tenant, caller, ref)

    def _spawn(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return self._tasks.command(tenant, caller, ref, self.now)

    def _administer(self, tenant: str, _caller: Principal, _ref: AgentRef) -> Command:
        """Commands of a suspended or paused tenant are still decided.

        Suspension is a matter of admission, and these commands are not pausable.
        """
        limits = tenants.TenantLimits(agents=self._random.choice((None, 1_000)))
        commands: tuple[Command, ...] = (
            tenants.SuspendTenant(tenant_id=tenant),
            tenants.ResumeTenant(tenant_id=tenant),
            tenants.PauseTenant(tenant_id=tenant),
            tenants.UnpauseTenant(tenant_id=tenant),
            tenants.SetTenantLimits(tenant_id=tenant, limits=limits),
            SetMailDomain(
                tenant_id=tenant,
                domain=self._random.choice((None, "a.example", "b.example")),
                service_domain="agents.localhost",
            ),
        )
        return self._random.choice(commands)

    def _new(self, kind: str) -> str:
        self._counter += 1
        return f"{kind}-{self._counter:06d}"

    def _contact(self) -> EmailAddress:
        key = self._random.choice(CONTACTS)
        return EmailAddress(email=self._random.choice((key, key.capitalize())), key=key)

    def _known(self, known_ids: Sequence[str]) -> str:
        return self._random.choice(known_ids[-3:]) if known_ids else "unknown"

    def _register(self, _tenant: str, caller: Principal, ref: AgentRef) -> Command:
        name = ref.name or ""
        return agents.RegisterAgent(
            caller=caller,
            agent_name=self._random.choice((name, name.upper())),
            agent_role=self._random.choice(("outbound", "ünïcode \N{PERSONAL COMPUTER}", "")),
            new_agent_id=f"agent_{self._new(name)}",
        )

    def _heartbeat(self, _tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return agents.Heartbeat(caller=caller, agent=ref)

    def _lease(self, _tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return lease_grants.AcquireLease(
            caller=caller,
            agent=ref,
            contact=self._contact(),
            intent=self._random.choice((None, "general", 'a "quoted" intent', "line\nbreak")),
            duration_minutes=self._random.choice((0.1, 1, 5, 30)),
            new_lease_id=self._new("lease"),
            holder=self._random.choice((None, None, "first", "second")),
        )

    def _end_of_lease(self, tenant: str, caller: Principal, _ref: AgentRef) -> Command:
        lease_id = self._known(self._leases[tenant])
        if self._random.random() < 0.3:
            return lease_grants.RenewLease(caller=caller, lease_id=lease_id, duration_minutes=60)
        return leases.ReleaseLease(caller=caller, lease_id=lease_id)

    def _propose(self, _tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return consensus.RequestConsensus(
            caller=caller,
            agent=ref,
            action="pause outreach",
            contact=self._contact(),
            reason="Fatigue scores are high",
            timeout_minutes=self._random.choice((0.5, 5)),
            electorate=self._random.choice(("live", "snapshot")),
            proposer_votes=self._random.random() < 0.7,
            floor=self._random.choice((None, "0.5")),
            new_request_id=self._new("request"),
        )

    def _vote(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return consensus.CastVote(
            caller=caller,
            agent=ref,
            request_id=self._known(self._requests[tenant]),
            vote=self._random.choice(("approve", "approve", "reject")),
            reason=self._random.choice((None, "agreed")),
            new_vote_id=self._new("vote"),
        )

    def _send(self, _tenant: str, caller: Principal, ref: AgentRef) -> Command:
        return send_gate.RequestSend(
            caller=caller,
            agent=ref,
            contact=self._contact(),
            fence=self._random.choice((None, 1)),
            new_send_id=self._new("send"),
        )

    def _configure(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        agent_id = self._agent_ids[tenant].get(ref.name or "", "agent_unknown")
        settings = {"humanizer_style": self._random.choice(("dry", "warm"))}
        return agent_settings.ConfigureAgent(caller=caller, agent_id=agent_id, settings=settings)

    def _depart(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        known = self._agent_ids[tenant].get(ref.name or "", "agent_unknown")
        match self._random.randrange(5):
            case 0 | 4:
                return agent_departures.RemoveAgent(agent_id=known)
            case 1:
                return agent_departures.ForgetAgent(agent_id=known, inactive_since=self.now)
            case _:
                return agent_departures.DeregisterAgent(
                    caller=caller, agent=ref, only_if_idle=self._random.random() < 0.2
                )

    def _cancel(self, tenant: str, caller: Principal, _ref: AgentRef) -> Command:
        return cancellations.CancelConsensus(
            caller=caller,
            agent=AgentRef(),
            request_id=self._known(self._requests[tenant]),
            reason=self._random.choice((None, "solved")),
        )

    def _key(self, tenant: str, caller: Principal, ref: AgentRef) -> Command:
        if self._keys[tenant] and self._random.random() < 0.4:
            if (agent_id := self._agent_ids[tenant].get(ref.name or "")) is not None:
                return api_keys.RevokeKeyAndEndAgent(
                    caller=caller, key_id=self._known(self._keys[tenant]), agent_id=agent_id
                )
            return api_keys.RevokeKey(caller=caller, key_id=self._known(self._keys[tenant]))
        if self._keys[tenant] and self._random.random() < 0.3:
            key_id = self._known(self._keys[tenant])
            return api_keys.RotateKey(
                caller=caller,
                key_id=key_id,
                agent_id=self._agent_of_key.get(key_id),
                new_key_id=self._new("key"),
                secret_hash="1" * 64,
                overlap_seconds=self._random.choice((0, 3_600)),
                expires_in_seconds=self._random.choice((None, 60)),
            )
        return api_keys.IssueKey(
            caller=caller,
            key_id=self._new("key"),
            role="agent",
            secret_hash="0" * 64,
            agent_name=ref.name,
            new_agent_id=f"agent_{self._new(ref.name or '')}",
        )
