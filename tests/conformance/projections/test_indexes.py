"""Every lookup uses an index, and its cost does not grow with the tables.

SQLite reports the index and counts the steps of its virtual machine. Plans differ between
databases; ``test_postgres_indexes.py`` checks PostgreSQL.
"""

import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import chain, product
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Table, insert

from quorate.domain.coordination.consensus import STATUSES
from quorate.domain.shared.notifications import EVERYONE
from quorate.domain.shared.quotas import COUNTED
from quorate.eventlog import tables as log_tables
from quorate.eventlog.transactions import Query
from quorate.projections import tables
from quorate.projections.agent_overviews import AgentOverviews
from quorate.projections.expired_keys import ExpiredKeys
from quorate.projections.mail.domains import MailDomainQueries
from quorate.projections.mail.outgoing import OutgoingMail
from quorate.projections.tenant_queries import TenantQueries
from tests.conformance.projections.projection_stage import ProjectionStage, open_stage

FEW, MANY = 100, 3_000
HELD, HOLDINGS = ("owned_count", "open_task_count"), "holdings USING PRIMARY KEY (tenant=? AND"
MORE_STEPS_MAX = 1.2
TENANT = "acme"
NOW, LATER = 1_000_000, 2_000_000
# The last event is read from the end of the table in one step, at any size. The table with the id
# of the log has one row.
READS_THE_END = {"log.head", "log.log_id"}
# The few leases of one agent are found by their holder, then sorted by contact. A page of
# notifications is limited first, then sorted with its events. So are due deliveries.
# A proposal is read with the number of active agents; its vote loads all of them. The page of an
# electorate sorts them.
COUNTS_ACTIVE_AGENTS = {
    "reader.request",
    "reader.requests(pending)",
    "electorates.live",
}
SORTS_FEW = {
    "due_mail.oldest",
    "electorates.live",
    "notifications.page",
    "reader.live_leases(agent, None)",
}


def queries(stage: ProjectionStage) -> dict[str, Query]:
    """Return every prepared statement of the log and the projections, by its name in the code."""
    reader, stored = stage.reader._queries, stage.state_store._queries
    owners = {
        "log": vars(stage.log._queries),
        "answers": vars(stage.command_bus._answers),
        "contents": vars(stage.command_bus._contents),
        "states": {
            f"{plan.read}:{plan.brings}": plan.query
            for plan in (*stored.plans, *chain.from_iterable(stored.of_owner.values()))
        },
        "reader": vars(reader),
        "tenants": vars(TenantQueries(stage.log, stage.clock)),
        "times": vars(stage.log._times),
        "notifications": vars(stage.notifications._queries),
        "overdue": dict(stage.due_aggregates._queries),
        "electorates": vars(stage.reader._electorates),
        "overviews": {"inactive": AgentOverviews(stage.log)._inactive},
        "mail_domains": vars(MailDomainQueries(stage.log)),
        "due_mail": vars(OutgoingMail(stage.log)._due),
        "expired_keys": vars(ExpiredKeys(stage.log, stage.clock)),
    }
    found = {
        f"{owner}.{name.strip('_')}": each
        for owner, names in owners.items()
        for name, each in names.items()
        if isinstance(each, Query)
    }
    for agent, contact in product((None, "agent"), (None, "contact")):
        found[f"reader.live_leases({agent}, {contact})"] = reader.live_leases(agent, contact)
    found |= {f"reader.agents({each})": query for each, query in reader.agents.items()}
    found |= {f"reader.requests({each})": reader.requests(each) for each in (None, *STATUSES)}
    return found


class Plans:
    """SQLite's plan of each statement, and the number of steps that it takes."""

    def __init__(self, path: Path, statements: Mapping[str, Query]) -> None:
        self._path = path
        self.statements = statements

    def of(self, name: str) -> list[str]:
        query = self.statements[name]
        with closing(sqlite3.connect(self._path)) as connection:
            nothing = [None] * len(query.parameters)
            found = connection.execute(f"EXPLAIN QUERY PLAN {query.sql}", nothing)
            return [row[3] for row in found]

    def steps(self, name: str, values: Mapping[str, Any]) -> int:
        query = self.statements[name]
        step_count = 0

        def step() -> int:
            nonlocal step_count
            step_count += 1
            return 0

        with closing(sqlite3.connect(self._path)) as connection:
            connection.set_progress_handler(step, 1)
            connection.execute(query.sql, query.bind(values)).fetchall()
        return step_count


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ProjectionStage]:
    async with open_stage("sqlite", tmp_path) as stage:
        yield stage


@pytest.fixture
def plans(stage: ProjectionStage, tmp_path: Path) -> Plans:
    return Plans(tmp_path / "quorate.db", queries(stage))


def tables_in(plan: Sequence[str]) -> Iterator[str]:
    """Yield the tables that a plan scans completely."""
    ours = {*log_tables.metadata.tables, *tables.metadata.tables}
    for line in plan:
        found = re.match(r"SCAN (\w+)", line)
        if found and found[1].removesuffix("_1") in ours:
            yield found[1]


# -- Plans ---------------------------------------------------------------------


def test_no_statement_scans_a_table(plans: Plans) -> None:
    scans = {name: [*tables_in(plans.of(name))] for name in plans.statements}

    assert {name for name, scanned in scans.items() if scanned} == READS_THE_END
    assert len(scans) > 35


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("log.tenant_heads", "events_1 USING COVERING INDEX events_by_tenant (tenant=?)"),
        ("log.after", "events USING INTEGER PRIMARY KEY (rowid>?)"),
        ("log.page", "events USING INDEX events_by_tenant (tenant=? AND sequence>?"),
        ("answers.select", "answers USING PRIMARY KEY (tenant=? AND caller=? AND command=?"),
        ("answers.count_expired", "answers USING COVERING INDEX answers_by_age (at<?)"),
        ("answers.prune", "answers USING COVERING INDEX answers_by_age (at<?)"),
        ("states.agent.id:agent", "agents USING PRIMARY KEY (tenant=? AND id=?)"),
        ("states.agent.active:agent", "agents USING INDEX agents_active (<expr>=?)"),
        ("states.agent.name:agent", "agents USING INDEX agents_by_name (tenant=? AND name_key=?)"),
        (
            "states.lease.live_contact:lease",
            "leases USING INDEX leases_live (tenant=? AND contact_key=?)",
        ),
        (
            "states.lease.live_contact:agent",
            "leases USING INDEX leases_live (tenant=? AND contact_key=?)",
        ),
        ("states.lease.owner:lease", "leases USING INDEX leases_held (agent_id=?"),
        ("states.consensus.id:consensus", "requests USING PRIMARY KEY (tenant=? AND id=?)"),
        ("states.consensus.id:vote", "votes USING PRIMARY KEY (tenant=? AND request_id=?)"),
        (
            "states.vote.id:vote",
            "votes USING PRIMARY KEY (tenant=? AND request_id=? AND agent_id=?)",
        ),
        (
            "states.vote.name:vote",
            "votes USING PRIMARY KEY (tenant=? AND request_id=? AND agent_id=?)",
        ),
        ("overdue.agent", "agents USING INDEX agents_due (active_until<?)"),
        ("overdue.lease", "leases USING INDEX leases_due (expires_at<?)"),
        ("overdue.consensus", "requests USING INDEX requests_due (timeout_at<?)"),
        ("reader.agent", "leases USING COVERING INDEX leases_held (agent_id=?"),
        ("reader.agents(None)", "leases USING COVERING INDEX leases_held (agent_id=?"),
        ("states.held_leases.id:lease", "leases USING INDEX leases_held (agent_id=?"),
        ("states.held_leases.name:lease", "leases USING INDEX leases_held (agent_id=?"),
        ("states.keys_of_agent:key", "keys USING INDEX keys_by_agent (agent_id=?)"),
        ("electorates.live", "agents USING INDEX agents_active (<expr>=?)"),
        ("electorates.voters", "votes USING PRIMARY KEY (tenant=? AND request_id=?"),
        ("overviews.inactive", "agents USING INDEX agents_inactive (active_until<?)"),
        ("overviews.inactive", "keys USING INDEX keys_by_agent (agent_id=?)"),
        ("reader.live_leases(None, None)", "leases USING INDEX leases_live (tenant=?"),
        (
            "reader.live_leases(agent, None)",
            "leases USING INDEX leases_held (agent_id",
        ),
        ("reader.key", "keys USING PRIMARY KEY (id=?)"),
        ("reader.valid_keys", "keys USING PRIMARY KEY (id=?)"),
        ("expired_keys.page", "keys USING INDEX keys_by_expiry (expires_at>? AND expires_at<?)"),
        (
            "states.last_notification.id:sequence",
            "notices USING PRIMARY KEY (tenant=? AND agent_id=?)",
        ),
        (
            "states.last_notification.name:sequence",
            "notices USING PRIMARY KEY (tenant=? AND agent_id=?)",
        ),
        (
            "states.daily_usage:usage",
            "daily_usage USING PRIMARY KEY (tenant=? AND owner=?)",
        ),
        ("states.daily_usage:usage", "tenants USING PRIMARY KEY (id=?)"),
        ("times.at", "events USING INDEX events_by_tenant (tenant=? AND sequence=?)"),
        ("states.counts:count", "counts USING PRIMARY KEY (tenant=?)"),
        *[(f"states.{one}.{by}:count", HOLDINGS) for one in HELD for by in ("id", "name")],
        (
            "notifications.page",
            "notices USING PRIMARY KEY (tenant=? AND agent_id=? AND sequence>?)",
        ),
        ("notifications.page", "events USING INDEX events_by_tenant (tenant=? AND sequence=?)"),
        (
            "notifications.last",
            "notices USING PRIMARY KEY (tenant=? AND agent_id=? AND sequence<?)",
        ),
        ("notifications.at", "events USING INDEX events_by_tenant (tenant=? AND sequence=?)"),
    ],
)
def test_lookup_uses_its_index(plans: Plans, name: str, way: str) -> None:
    assert any(line.startswith(f"SEARCH {way}") for line in plans.of(name)), plans.of(name)


def test_no_page_is_sorted_before_the_limit(plans: Plans) -> None:
    """A page of ten rows must not require sorting all following rows."""
    sorted_ = [
        name for name in plans.statements if any("ORDER BY" in line for line in plans.of(name))
    ]

    assert set(sorted_) <= SORTS_FEW


# -- Steps ---------------------------------------------------------------------


def keys(*names: str) -> dict[str, str]:
    """Return the parameter of a lookup of one key."""
    return {"asked": orjson.dumps([names]).decode()}


AGENT = {"tenant": TENANT, "agent_id": "agent_000007", "everyone": EVERYONE}
PAGE = {"tenant": TENANT, "after": "", "limit": 10, "now": NOW}
# The parameters of each statement. They match the same few rows at any table size.
VALUES: Mapping[str, Mapping[str, Any]] = {
    "log.head": {},
    "log.tenant_heads": {"tenants": orjson.dumps([[TENANT]]).decode()},
    "log.after": {"position": 50, "limit": 10},
    "log.page": {"tenant": TENANT, "after": 50, "until": 10_050, "limit": 10},
    "answers.select": {"scopes": orjson.dumps([[TENANT, "k", "c", "key-7"]]).decode()},
    "answers.count_expired": {"kept_since": 5},
    "states.agent.id:agent": keys(TENANT, "agent_000007"),
    "states.agent.name:agent": keys(TENANT, "name000007"),
    "states.last_notification.id:sequence": keys(TENANT, "agent_000007"),
    "states.last_notification.name:sequence": keys(TENANT, "name000007"),
    "states.lease.live_contact:lease": keys(TENANT, "contact-000007"),
    "states.lease.live_contact:agent": keys(TENANT, "contact-000007"),
    "states.lease.id:lease": keys(TENANT, "live-000007"),
    "states.lease.id:agent": keys(TENANT, "live-000007"),
    "states.lease.owner:lease": keys(TENANT, "agent_000007"),
    "states.held_leases.id:lease": keys(TENANT, "agent_000007"),
    "states.held_leases.name:lease": keys(TENANT, "name000007"),
    "states.keys_of_agent:key": keys(TENANT, "agent_000007"),
    "states.consensus.id:consensus": keys(TENANT, "request-000007"),
    "states.consensus.id:vote": keys(TENANT, "request-000007"),
    "states.vote.id:vote": keys(TENANT, "request-000007", "agent_000001"),
    "states.vote.name:vote": keys(TENANT, "request-000007", "name000001"),
    "states.agent_settings.id:agent_settings": keys(TENANT, "agent_000007"),
    "states.key.id:key": keys("other", "key-000007"),
    "states.tenant.id:tenant": keys("tenant-000007"),
    "states.counts:count": keys("tenant-000007"),
    **{f"states.{one}.id:count": keys(TENANT, "agent_000007") for one in HELD},
    **{f"states.{one}.name:count": keys(TENANT, "name000007") for one in HELD},
    "states.daily_usage:usage": keys(TENANT, "agent_000007"),
    "tenants.tenant": {"id": "tenant-000007"},
    "tenants.page": {"after": "", "limit": 10},
    "tenants.counts": {"tenant": "tenant-000007"},
    "tenants.held": {"tenant": TENANT, "agent_id": "agent_000007"},
    "tenants.used": {"tenant": TENANT, "agent_id": "agent_000007"},
    "times.ends": {"tenant": TENANT},
    "times.at": {"tenant": TENANT, "sequence": 50},
    "overdue.agent": {"now": NOW},
    "overdue.lease": {"now": NOW},
    "overdue.consensus": {"now": NOW},
    "reader.agent": {**PAGE, "id": "agent_000007"},
    "reader.agents(None)": PAGE,
    "reader.agents(active)": PAGE,
    "electorates.live": {**PAGE, "id": "request-000007", "excluded": ""},
    "electorates.voters": {**PAGE, "id": "request-000007"},
    "electorates.members": {**PAGE, "id": "request-000007"},
    "electorates.named": {**PAGE, "id": "request-000007", **keys("agent_000001")},
    "overviews.inactive": {"before": NOW},
    "reader.lease": {**PAGE, "id": "live-000007"},
    "reader.request": {**PAGE, "id": "request-000007"},
    "reader.valid_keys": {**PAGE, **keys("key-000007")},
    "expired_keys.page": {"since": 0, "after": "", "until": NOW},
    "notifications.agent_by_id": {**PAGE, "id": "agent_000007"},
    "notifications.agent_by_name": {**PAGE, "name": "name000007"},
    "notifications.page": {**AGENT, "after": 50, "limit": 10},
    "notifications.last": {**AGENT, "until": 50},
    "notifications.at": {**AGENT, "sequence": 50},
    "reader.key": {"id": "key-000007"},
    "reader.keys": PAGE,
    "reader.settings": {**PAGE, "id": "agent_000007"},
    "reader.live_leases(None, None)": PAGE,
    "reader.live_leases(agent, None)": {**PAGE, "agent_id": "agent_000007"},
    "reader.live_leases(None, contact)": {**PAGE, "contact_key": "contact-000007"},
    "reader.requests(None)": PAGE,
    "reader.requests(pending)": {**PAGE, "status": "pending"},
}


async def test_lookup_takes_constant_steps_in_growing_tables(tmp_path: Path) -> None:
    steps: dict[str, list[int]] = {name: [] for name in VALUES}
    for size in (FEW, MANY):
        (folder := tmp_path / str(size)).mkdir()
        async with open_stage("sqlite", folder) as stage:
            await fill(stage, size)
            plans = Plans(folder / "quorate.db", queries(stage))
            for name, values in VALUES.items():
                steps[name].append(plans.steps(name, values))

    slower = {name for name, (few, many) in steps.items() if many > MORE_STEPS_MAX * few}
    assert slower == COUNTS_ACTIVE_AGENTS


async def fill(stage: ProjectionStage, size: int) -> None:
    """Insert ``size`` live and ``size`` ended rows of each kind; none is overdue.

    Rows are made outside transactions, and each table has its own: PostgreSQL ends a transaction
    that is idle for too long, and a busy machine needs seconds for all of them.
    """
    dialect = stage.database.dialect
    for table, rows in rows_of(size).items():
        async with stage.database.write() as transaction:
            await transaction.write(Query(insert(table), dialect), rows)


def rows_of(size: int) -> dict[Table, list[tuple[Any, ...]]]:
    n = [f"{number:06}" for number in range(size)]
    past = ("agent_000007", "intent", 1, 2, 3, "released", None, 4, None, None)
    live = ("intent", 1, LATER, 3, "active", '["agent_000001"]', None, "first", 1)
    proposal = ("action", "k", "e", "why")
    options = ("live", True, None, 3, 0, None)
    counts = (2, 0, 3)
    return {
        log_tables.events: [
            (*(i, TENANT, i, f"id-{i}", "stream", "Type", 1, 1), "actor", "cause", "{}", b"h" * 32)
            for i in range(1, size + 1)
        ],
        log_tables.answers: [
            (TENANT, "k", "c", f"key-{i}", b"f" * 32, None, "{}", 1, 10) for i in range(size)
        ],
        tables.tenants: [(f"tenant-{i}", 1, None, None, None) for i in n],
        tables.usage: [(TENANT, f"agent_{i}", 1, 1, 1) for i in n],
        tables.keys: [
            (f"key-{i}", TENANT, "agent", "hash", f"agent_{i}", f"name{i}", 1, None, LATER, None)
            for i in n
        ],
        tables.agents: [
            (TENANT, f"agent_{i}", f"name{i}", f"name{i}", "role", 1, 1, 1, LATER, "active", 300)
            for i in n
        ],
        tables.configs: [(TENANT, f"agent_{i}", "{}") for i in n],
        tables.leases: [
            *((TENANT, f"live-{i}", f"contact-{i}", "e", f"agent_{i}", *live) for i in n),
            *((TENANT, f"past-{i}", "contact-000007", "e", *past) for i in n),
        ],
        tables.requests: [
            *(
                (TENANT, f"closed-{i}", "a", *proposal, "approved", 2, 1, *options, 2, *counts)
                for i in n
            ),
            *(
                (TENANT, f"request-{i}", "a", *proposal, "pending", LATER, 1, *options, *[None] * 4)
                for i in n
            ),
        ],
        tables.votes: [
            (TENANT, f"{kind}-{i}", f"agent_{voter}", "v", "approve", None, 1)
            for kind in ("closed", "request")
            for i in n
            for voter in range(3)
        ],
        tables.notices: [
            *((TENANT, f"agent_{i}", sequence) for i in n[:10] for sequence in range(1, size, 3)),
            *((TENANT, EVERYONE, sequence) for sequence in range(2, size, 3)),
        ],
        tables.counts: [(f"tenant-{i}", *(1 for _ in COUNTED)) for i in n],
        tables.holdings: [(TENANT, f"agent_{i}", 1, 1) for i in n],
    }
