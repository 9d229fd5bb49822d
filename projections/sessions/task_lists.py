"""Read model of task lists: what blocks their open items, and who follows them."""

import orjson
from sqlalchemy import BigInteger, Column, Integer, Table

from quorate.domain.sessions.task_lists import TASK_LISTS as AGGREGATE
from quorate.domain.sessions.task_lists import TaskList
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, Repository

TABLE = Table(
    "task_lists",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("creator_id", text(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_number", Integer, nullable=False),
    Column("open", text(), nullable=False),  # A JSON array of numbers, each with its blockers.
    Column("completed", text(), nullable=False),  # A JSON array of numbers.
    Column("followers", text(), nullable=False),  # A JSON array of agent ids.
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, found: TaskList) -> Values:
    return (
        tenant,
        found.id,
        found.creator_id,
        found.created_at,
        found.next_number,
        orjson.dumps(list(found.open.items())).decode(),
        orjson.dumps(found.completed).decode(),
        orjson.dumps(found.followers).decode(),
    )


def from_row(row: Row) -> TaskList:
    return TaskList(
        id=row.id,
        creator_id=row.creator_id,
        created_at=Timestamp(row.created_at),
        next_number=row.next_number,
        open={number: tuple(blockers) for number, blockers in orjson.loads(row.open)},
        completed=tuple(orjson.loads(row.completed)),
        followers=tuple(orjson.loads(row.followers)),
    )


TASK_LISTS: Repository[TaskList] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    is_removed=lambda found: found.is_deleted,
)
