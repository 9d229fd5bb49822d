"""A row is a tuple in the order of its table's columns, and maps back to the same state.

Every value below is unique, so that swapped columns are detected.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from quorate.domain.coordination.consensus import ConsensusRequest, Vote, VoteCount
from quorate.domain.coordination.leases import Lease
from quorate.domain.identity.agents import Agent
from quorate.domain.identity.api_keys import Key
from quorate.domain.identity.tenants import Tenant, TenantLimits
from quorate.domain.mail.domains import MailDomain
from quorate.domain.shared.daily_quotas import Usage
from quorate.domain.shared.quotas import Counts
from quorate.domain.shared.records import record
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.transactions import Query
from quorate.projections import counters, daily_usage, recipients, tables
from quorate.projections.coordination import consensus
from quorate.projections.coordination.consensus import CONSENSUS
from quorate.projections.coordination.leases import LEASES
from quorate.projections.identity.agent_settings import AGENT_SETTINGS
from quorate.projections.identity.agents import AGENTS
from quorate.projections.identity.api_keys import API_KEYS
from quorate.projections.identity.tenants import TENANTS
from quorate.projections.mail import domains as mail_domains
from quorate.projections.state_store import upsert
from tests.conformance.projections import list_rows, mail_rows, session_rows
from tests.conformance.projections.projection_stage import DATABASES, open_stage

TENANT = "acme"
AGENT = Agent(
    id="agent_1",
    name="Ann",
    role="sales",
    incarnation=3,
    registered_at=Timestamp(4),
    last_heartbeat=Timestamp(5),
    active_until=Timestamp(6),
    status="lapsed",
    heartbeat_window=7,
)
LEASE = Lease(
    id="lease-1",
    contact_key="kim@example.com",
    contact_email="Kim@Example.com",
    agent_id="agent_2",
    intent="intent",
    created_at=Timestamp(7),
    expires_at=Timestamp(8),
    fence=9,
    status="released",
    contenders=("agent_9", "agent_10"),
    ended_at=Timestamp(10),
    holder="first",
    incarnation=3,
)
VOTE = Vote(
    id="vote-1",
    request_id="request-1",
    agent_id="agent_3",
    vote="reject",
    reason="because",
    created_at=Timestamp(11),
)
REQUEST = ConsensusRequest(
    id="request-1",
    agent_id="agent_4",
    action="action",
    contact_key="lee@example.com",
    contact_email="Lee@Example.com",
    reason="reason",
    status="rejected",
    timeout_at=Timestamp(12),
    created_at=Timestamp(13),
    electorate="snapshot",
    proposer_votes=False,
    floor="0.75",
    eligible=14,
    minimum=15,
    members=("agent_5", "agent_6"),
    votes={"agent_3": VOTE},
    closed_at=Timestamp(16),
    tally=VoteCount(approvals=17, rejections=18, electorate_size=19),
)
KEY = Key(
    id="key-1",
    role="auditor",
    secret_hash="5e",
    agent_id="agent_7",
    agent_name="Bob",
    created_at=Timestamp(20),
    revoked_at=Timestamp(21),
    expires_at=Timestamp(34),
    preset="observer",
)
OWNER = Tenant(
    id=TENANT,
    created_at=Timestamp(22),
    suspended_at=Timestamp(30),
    limits=TenantLimits(agents=31, rate_per_key=32),
    paused_at=Timestamp(38),
)
USAGE = Usage(day=33, events=34, bytes=35)
RECIPIENT = ("agent_11", 23)
COUNTS: Counts = {
    "agents": 24,
    "live_leases": 25,
    "open_requests": 26,
    "keys": 27,
    "settings_bytes": 28,
    "mailbox_bytes": 36,
    "session_bytes": 37,
}
HOLDING = ("agent_11", {"live_leases": 29, "open_tasks": 41})
SETTINGS: Mapping[str, bool | str] = {"humanizer_enabled": True, "humanizer_style": "dry"}


@record
class Row:
    """A state, its mapping to and from a row, and column values that are no field of the state."""

    state: Any
    write: Callable[[Any], tuple[Any, ...]]
    read: Callable[[Any], Any]
    otherwise: Mapping[str, Any]


def _of_mail(
    state: object,
    to_row: mail_rows.Write,
    from_row: Callable[[Any], Any],
    otherwise: Mapping[str, Any],
) -> Row:
    return Row(
        state=state,
        write=lambda one: to_row(TENANT, one.id, one),
        read=from_row,
        otherwise=otherwise,
    )


EXAMPLES: Mapping[Table, Row] = {
    tables.tenants: Row(
        state=OWNER,
        write=lambda one: TENANTS.to_row(TENANT, "", one),
        read=TENANTS.from_row,
        otherwise={"limits": '{"agents":31,"rate_per_key":32}'},
    ),
    mail_domains.TABLE: Row(
        state=MailDomain(domain="acme.example", tenant_id="agent_13"),
        write=lambda one: mail_domains.to_row(TENANT, "", one),
        read=mail_domains.from_row,
        otherwise={"tenant": TENANT},
    ),
    tables.keys: Row(
        state=KEY,
        write=lambda key: API_KEYS.to_row(TENANT, "", key),
        read=API_KEYS.from_row,
        otherwise={"tenant": TENANT},
    ),
    tables.agents: Row(
        state=AGENT,
        write=lambda agent: AGENTS.to_row(TENANT, "", agent),
        read=AGENTS.from_row,
        otherwise={"tenant": TENANT, "name_key": "ann"},
    ),
    tables.leases: Row(
        state=LEASE,
        write=lambda lease: LEASES.to_row(TENANT, "", lease),
        read=LEASES.from_row,
        otherwise={"tenant": TENANT, "contenders": '["agent_9","agent_10"]'},
    ),
    tables.requests: Row(
        state=REQUEST,
        write=lambda request: CONSENSUS.to_row(TENANT, "", request),
        read=lambda row: consensus.from_row(row, REQUEST.votes),
        otherwise={
            "tenant": TENANT,
            "members": '["agent_5","agent_6"]',
            "approvals": 17,
            "rejections": 18,
            "electorate_size": 19,
        },
    ),
    tables.votes: Row(
        state=VOTE,
        write=lambda vote: consensus.vote_row(TENANT, vote),
        read=consensus.vote_of,
        otherwise={"tenant": TENANT},
    ),
    tables.configs: Row(
        state=SETTINGS,
        write=lambda settings: AGENT_SETTINGS.to_row(TENANT, "agent_8", settings),
        read=AGENT_SETTINGS.from_row,
        otherwise={
            "tenant": TENANT,
            "agent_id": "agent_8",
            "settings": '{"humanizer_enabled":true,"humanizer_style":"dry"}',
        },
    ),
    tables.notices: Row(
        state=RECIPIENT,
        write=lambda one: recipients.to_row(TENANT, one),
        read=recipients.from_row,
        otherwise={"tenant": TENANT, "agent_id": "agent_11", "sequence": 23},
    ),
    tables.counts: Row(
        state=COUNTS,
        write=lambda counts: counters.counts_row(TENANT, counts),
        read=counters.counts_of,
        otherwise={"tenant": TENANT} | dict(COUNTS),
    ),
    tables.holdings: Row(
        state=HOLDING,
        write=lambda holding: counters.owned_row(TENANT, holding),
        read=counters.owned_of,
        otherwise={"tenant": TENANT, "agent_id": "agent_11", "live_leases": 29, "open_tasks": 41},
    ),
    tables.usage: Row(
        state=USAGE,
        write=lambda one: daily_usage.usage_row(TENANT, "agent_12", one),
        read=daily_usage.usage_of,
        otherwise={"tenant": TENANT, "owner": "agent_12"},
    ),
    **{table: _of_mail(*sample) for table, sample in mail_rows.samples(TENANT).items()},
    **{table: _of_mail(*sample) for table, sample in session_rows.samples(TENANT).items()},
    **{table: _of_mail(*sample) for table, sample in list_rows.samples(TENANT).items()},
}
# The same states without their optional values.
MINIMAL: Mapping[Table, Any] = {
    tables.tenants: Tenant(id=TENANT, created_at=Timestamp(22)),
    tables.usage: Usage(day=34, events=1, bytes=2),
    tables.keys: replace(KEY, agent_id=None, agent_name=None, revoked_at=None, expires_at=None),
    tables.leases: replace(LEASE, contenders=(), ended_at=None),
    tables.requests: replace(
        REQUEST, proposer_votes=True, floor=None, members=None, closed_at=None, tally=None
    ),
    tables.votes: replace(VOTE, reason=None),
    tables.configs: {},
}
ALL_TABLES = tables.metadata.sorted_tables
COUNTED_TABLES = [tables.counts, tables.holdings]
REPLACED_TABLES = [table for table in ALL_TABLES if table not in COUNTED_TABLES]


def table_name(table: Table) -> str:
    return table.name


@pytest.mark.parametrize("table", ALL_TABLES, ids=table_name)
def test_row_values_are_in_column_order(table: Table) -> None:
    row = EXAMPLES[table]
    names = [column.name for column in table.columns]
    expected = [
        row.otherwise[name] if name in row.otherwise else getattr(row.state, name) for name in names
    ]

    assert dict(zip(names, row.write(row.state), strict=True)) == dict(
        zip(names, expected, strict=True)
    )


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("table", ALL_TABLES, ids=table_name)
async def test_state_is_read_as_it_was_written(table: Table, database: str, tmp_path: Path) -> None:
    for place, state in (
        ("full", EXAMPLES[table].state),
        ("bare", MINIMAL.get(table, EXAMPLES[table].state)),
    ):
        folder = tmp_path / place
        folder.mkdir()
        found = await _write_and_read(database, folder, table, state)
        assert found == state
        assert _types(found) == _types(state)


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("table", REPLACED_TABLES, ids=table_name)
async def test_upsert_replaces_all_columns(table: Table, database: str, tmp_path: Path) -> None:
    full = EXAMPLES[table].state
    minimal = MINIMAL.get(table, full)

    assert await _write_and_read(database, tmp_path, table, full, minimal) == minimal


@pytest.mark.parametrize("database", DATABASES)
async def test_upsert_adds_to_stored_counts(database: str, tmp_path: Path) -> None:
    fewer: Counts = {"agents": 1, "live_leases": -2, "keys": 0}

    found = await _write_and_read(database, tmp_path, tables.counts, COUNTS, fewer)
    assert found == {**COUNTS, "agents": 25, "live_leases": 23}


@pytest.mark.parametrize("database", DATABASES)
async def test_upsert_adds_to_stored_counts_of_an_agent(database: str, tmp_path: Path) -> None:
    fewer = (HOLDING[0], {"live_leases": -9, "open_tasks": 1})

    found = await _write_and_read(database, tmp_path, tables.holdings, HOLDING, fewer)
    assert found == (HOLDING[0], {"live_leases": 20, "open_tasks": 42})


# Most fields of a message and of a task are in one JSON object; the tests above read them back.
@pytest.mark.parametrize(
    "table",
    [
        table
        for table in ALL_TABLES
        if is_dataclass(EXAMPLES[table].state)
        and table not in {tables.messages, tables.sessions, tables.tasks}
    ],
    ids=table_name,
)
def test_examples_set_every_field(table: Table) -> None:
    state = EXAMPLES[table].state
    values = [getattr(state, field.name) for field in fields(state)]

    assert None not in values
    assert {*map(repr, EXAMPLES[table].write(state))} >= {*map(repr, _cells(state))}


def _cells(state: Any) -> list[Any]:  # noqa: ANN401 - any state.
    """Return the values of a state that are stored unchanged."""
    values = [getattr(state, field.name) for field in fields(state)]
    return [value for value in values if isinstance(value, str | int)]


def _types(state: Any) -> list[type]:  # noqa: ANN401 - any state.
    """Return the types of all values: 1 and True are equal, but differ in JSON."""
    if not is_dataclass(state):
        return [type(value) for value in (state.values() if isinstance(state, dict) else state)]
    return [type(getattr(state, field.name)) for field in fields(state)]


async def _write_and_read(database: str, folder: Path, table: Table, *states: Any) -> Any:  # noqa: ANN401
    async with open_stage(database, folder) as stage:
        dialect = stage.database.dialect
        statement = Query(upsert(table, dialect.name), dialect)
        for state in states:
            async with stage.database.write() as transaction:
                await transaction.write(statement, [EXAMPLES[table].write(state)])
        async with stage.database.read() as transaction:
            (row,) = await transaction.fetch(Query(select(table), dialect), {})
    return EXAMPLES[table].read(row)
