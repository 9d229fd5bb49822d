"""Read model of tasks. What is only shown is in one JSON object, ``details``."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Table,
    and_,
    literal_column,
    select,
)

from quorate.domain.identity.agents import HELD_LEASES
from quorate.domain.sessions.task_claims import CANDIDATES_MAX, OFFERED_TASKS
from quorate.domain.sessions.task_states import Artifact, Claim, Task, TaskInput
from quorate.domain.sessions.tasks import TASKS as AGGREGATE
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.eventlog.transactions import Query
from quorate.projections.identity import agents
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Due, Find, LookupPlan, Owned, Repository, matching

_OFFERED, _DEAD = sql("is_offered"), sql("is_dead_letter")
_CLAIMED, _DUE = sql("worker_id IS NOT NULL"), sql("due_at IS NOT NULL")
_NESTED = sql("parent_id IS NOT NULL AND ended_at IS NULL")  # Those that are open.
_OPEN, _ENDED = sql("ended_at IS NULL"), sql("ended_at IS NOT NULL")

TABLE = Table(
    "tasks",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("spawner_id", text(64), nullable=False),
    Column("preset", text(64), nullable=False),
    Column("state", text(16), nullable=False),
    Column("is_offered", Boolean, nullable=False),
    Column("is_dead_letter", Boolean, nullable=False),
    Column("worker_id", text(64)),
    Column("fence", BigInteger),
    Column("expires_at", BigInteger),  # Of the claim.
    Column("due_at", BigInteger),
    Column("submitted_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("parent_id", text(64)),  # For the search; it is read from ``details``.
    Column("details", text(), nullable=False),
    Index(
        *("tasks_offered", "tenant", "preset", "sequence"),
        sqlite_where=_OFFERED,
        postgresql_where=_OFFERED,
    ),
    Index("tasks_of_spawner", "tenant", "spawner_id", "sequence"),
    Index("tasks_by_sequence", "tenant", "sequence"),
    Index("tasks_claimed", "worker_id", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED),
    Index("tasks_due", "due_at", sqlite_where=_DUE, postgresql_where=_DUE),
    Index("tasks_nested", "parent_id", sqlite_where=_NESTED, postgresql_where=_NESTED),
    Index(
        *("tasks_open", "tenant", "state", "sequence"),
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index("tasks_ended", "tenant", "sequence", sqlite_where=_ENDED, postgresql_where=_ENDED),
    Index("tasks_dead", "tenant", "sequence", sqlite_where=_DEAD, postgresql_where=_DEAD),
    sqlite_with_rowid=False,
)

# Written out: a bound value would hide the partial index from the planner.
is_offered: ColumnElement[bool] = literal_column("tasks.is_offered")
is_dead_letter: ColumnElement[bool] = literal_column("tasks.is_dead_letter")
is_open_nested: ColumnElement[bool] = and_(
    TABLE.c.parent_id.is_not(None), TABLE.c.ended_at.is_(None)
)
_is_claimed = TABLE.c.worker_id.is_not(None)
# An expression, so that no index of the tenant matches it: as in the read model of leases.
tenant_compared = TABLE.c.tenant.concat("")

_PLAIN = (
    *("depth", "timeout_seconds", "times_out_at", "max_attempts", "retention_seconds"),
    *("tool_controls", "delegate_only", "stored_bytes", "allow_tools", "deny_tools", "model"),
    *("parent_id", "version", "retry_at", "attempts", "claimed_at", "percent", "message"),
    *("iterations", "tool_calls_made", "content_ids", "output_ids", "result_id", "error"),
)
_TUPLES = ("allow_tools", "deny_tools", "content_ids", "output_ids")
_DEFAULTS: Mapping[str, Any] = {
    name: field.default for name, field in Task.__dataclass_fields__.items() if name in _PLAIN
}


def to_row(tenant: str, _id: str, task: Task) -> Values:
    details: dict[str, Any] = {}
    for name in _PLAIN:
        value = getattr(task, name)
        if value != _DEFAULTS[name]:
            details[name] = dict(value) if name == "tool_controls" else value
    if task.artifacts:
        details["artifacts"] = [
            (one.id, one.name, one.media_type, one.bytes) for one in task.artifacts
        ]
    if task.inputs:
        details["inputs"] = [(one.id, one.kind, one.answer_id) for one in task.inputs]
    claim = task.claim
    return (
        tenant,
        task.id,
        task.sequence,
        task.spawner_id,
        task.preset,
        task.state,
        task.is_offered,
        task.is_dead_letter,
        None if claim is None else claim.worker_id,
        None if claim is None else claim.fence,
        None if claim is None else claim.expires_at,
        task.due_at,
        task.submitted_at,
        task.ended_at,
        task.parent_id,
        orjson.dumps(details, option=orjson.OPT_SORT_KEYS).decode(),
    )


def from_row(row: Row) -> Task:
    details = orjson.loads(row.details)
    for name in _TUPLES:
        if details.get(name) is not None:
            details[name] = tuple(details[name])
    artifacts, inputs = details.pop("artifacts", ()), details.pop("inputs", ())
    claim = None
    if row.worker_id is not None:
        claim = Claim(
            worker_id=row.worker_id, fence=row.fence, expires_at=Timestamp(row.expires_at)
        )
    return Task(
        id=row.id,
        sequence=row.sequence,
        spawner_id=row.spawner_id,
        preset=row.preset,
        state=row.state,
        is_offered=bool(row.is_offered),
        is_dead_letter=bool(row.is_dead_letter),
        claim=claim,
        submitted_at=Timestamp(row.submitted_at),
        ended_at=None if row.ended_at is None else Timestamp(row.ended_at),
        artifacts=tuple(
            [Artifact(id=a, name=name, media_type=m, bytes=size) for a, name, m, size in artifacts]
        ),
        inputs=tuple(
            [TaskInput(id=id_, kind=kind, answer_id=answer) for id_, kind, answer in inputs]
        ),
        **details,
    )


def _loads(repository: Repository[Task], database: Database) -> Sequence[LookupPlan]:
    """Load offered tasks of presets, the worker of a task, and the tasks of a worker that ends."""
    workers = agents.TABLE
    works = and_(workers.c.tenant == TABLE.c.tenant, workers.c.id == TABLE.c.worker_id)
    of_worker = matching(
        database, TABLE, select(TABLE), (tenant_compared, TABLE.c.worker_id), _is_claimed
    )
    same = and_(tenant_compared == workers.c.tenant, TABLE.c.worker_id == workers.c.id)
    of_named = matching(
        database,
        workers.join(TABLE, same),
        select(TABLE),
        (workers.c.tenant, workers.c.name_key),
        _is_claimed,
    )
    of_task = matching(
        database,
        TABLE,
        select(workers).distinct(),
        (TABLE.c.tenant, TABLE.c.id),
        and_(_is_claimed, works),
    )
    return (
        LookupPlan(
            read=OFFERED_TASKS, brings=AGGREGATE.name, query=_offers(database), put=repository.put
        ),
        LookupPlan(
            read=f"{AGGREGATE.name}.id",
            brings=agents.AGENTS.aggregate.name,
            query=of_task,
            put=agents.AGENTS.put,
        ),
        repository.plan("owner", of_worker),
        # A command that ends an agent reads what it holds by this name: its tasks as its leases.
        *(
            LookupPlan(
                read=f"{HELD_LEASES}.{index}",
                brings=AGGREGATE.name,
                query=query,
                put=repository.put,
            )
            for index, query in (("id", of_worker), ("name", of_named))
        ),
    )


def _offers(database: Database) -> Query:
    """Select the oldest offered tasks of each preset, CANDIDATES_MAX of each."""
    asked, (tenant, preset) = database.rows("asked", 2)
    other = TABLE.alias("other")
    oldest = (
        select(other.c.id)
        .where(
            other.c.tenant == tenant,
            other.c.preset == preset,
            literal_column("other.is_offered"),
        )
        .order_by(other.c.sequence)
        .limit(CANDIDATES_MAX)
        .correlate(asked)
    )
    found = (
        select(TABLE)
        .select_from(asked.join(TABLE, TABLE.c.tenant == tenant))
        .where(TABLE.c.id.in_(oldest))
    )
    return Query(found, database.dialect)


TASKS: Repository[Task] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
    is_removed=lambda task: task.is_erased,
    due=Due(at=TABLE.c.due_at, where=TABLE.c.due_at.is_not(None), is_inclusive=True),
    owned=Owned(
        is_of=lambda agent_id: TABLE.c.worker_id == agent_id,
        tenant=TABLE.c.tenant,
        where=_is_claimed,
    ),
)
