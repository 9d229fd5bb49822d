"""Read model of threads. Participants are JSON arrays."""

from collections.abc import Sequence

import orjson
from sqlalchemy import BigInteger, Column, Table, and_, select

from quorate.domain.mail.threads import MAIL_THREADS as AGGREGATE
from quorate.domain.mail.threads import MailThread
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, LookupPlan, Repository, matching

TABLE = Table(
    "mail_threads",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("subject", text(), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("addresses", text(), nullable=False),
    Column("agent_ids", text(), nullable=False),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, thread: MailThread) -> Values:
    return (
        tenant,
        thread.id,
        thread.subject,
        thread.created_at,
        orjson.dumps(thread.addresses).decode(),
        orjson.dumps(thread.agent_ids).decode(),
    )


def from_row(row: Row) -> MailThread:
    return MailThread(
        id=row.id,
        subject=row.subject,
        created_at=Timestamp(row.created_at),
        addresses=tuple(orjson.loads(row.addresses)),
        agent_ids=tuple(orjson.loads(row.agent_ids)),
    )


def _loads(repository: Repository[MailThread], database: Database) -> Sequence[LookupPlan]:
    """Load the thread of a message."""
    from quorate.projections.mail import messages  # noqa: PLC0415 - its table is defined later.

    sent = messages.TABLE
    contains = and_(sent.c.tenant == TABLE.c.tenant, sent.c.thread_id == TABLE.c.id)
    of_message = matching(
        database, sent.join(TABLE, contains), select(TABLE), (sent.c.tenant, sent.c.id)
    )
    return (repository.plan("message", of_message),)


MAIL_THREADS: Repository[MailThread] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
)
