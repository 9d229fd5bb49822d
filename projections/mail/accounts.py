"""Read model of mail accounts. Allowed and blocked senders are JSON arrays."""

from collections.abc import Sequence

import orjson
from sqlalchemy import BigInteger, Column, Index, Integer, Table, and_, select

from quorate.domain.mail.accounts import MAIL_ACCOUNTS as AGGREGATE
from quorate.domain.mail.accounts import OPEN_POLICY, MailAccount, MailPolicy
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, LookupPlan, Repository, matching

_UNREAD = sql("unread > 0")
TABLE = Table(
    "mail_accounts",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),  # Of the agent.
    Column("created_at", BigInteger, nullable=False),
    Column("tier", text(16), nullable=False),
    Column("hour", Integer, nullable=False),
    Column("hour_used", Integer, nullable=False),
    Column("day", Integer, nullable=False),
    Column("day_used", Integer, nullable=False),
    Column("total_sent", BigInteger, nullable=False),
    Column("total_received", BigInteger, nullable=False),
    Column("total_bounced", BigInteger, nullable=False),
    Column("total_complaints", BigInteger, nullable=False),
    Column("unread", BigInteger, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("outcomes", text(100), nullable=False),
    Column("frozen_at", BigInteger),
    Column("frozen_reason", text(16)),
    Column("policy", text()),  # A JSON array of mode, allow and block; null is the open policy.
    Index("mail_accounts_unread", "tenant", sqlite_where=_UNREAD, postgresql_where=_UNREAD),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, account: MailAccount) -> Values:
    return (
        tenant,
        account.id,
        account.created_at,
        account.tier,
        account.hour,
        account.hour_used,
        account.day,
        account.day_used,
        account.total_sent,
        account.total_received,
        account.total_bounced,
        account.total_complaints,
        account.unread,
        account.stored_bytes,
        account.outcomes,
        account.frozen_at,
        account.frozen_reason,
        _policy_text(account.policy),
    )


def from_row(row: Row) -> MailAccount:
    return MailAccount(
        id=row.id,
        created_at=Timestamp(row.created_at),
        tier=row.tier,
        hour=row.hour,
        hour_used=row.hour_used,
        day=row.day,
        day_used=row.day_used,
        total_sent=row.total_sent,
        total_received=row.total_received,
        total_bounced=row.total_bounced,
        total_complaints=row.total_complaints,
        unread=row.unread,
        stored_bytes=row.stored_bytes,
        outcomes=row.outcomes,
        frozen_at=None if row.frozen_at is None else Timestamp(row.frozen_at),
        frozen_reason=row.frozen_reason,
        policy=OPEN_POLICY if row.policy is None else _policy(row.policy),
    )


def _policy_text(policy: MailPolicy) -> str | None:
    if policy == OPEN_POLICY:
        return None
    return orjson.dumps([policy.mode, policy.allow, policy.block]).decode()


def _policy(text: str) -> MailPolicy:
    mode, allow, block = orjson.loads(text)
    return MailPolicy(mode=mode, allow=tuple(allow), block=tuple(block))


def _loads(repository: Repository[MailAccount], database: Database) -> Sequence[LookupPlan]:
    """Load the account of an agent by its name, and that of the sender of a delivery."""
    from quorate.projections.mail import deliveries  # noqa: PLC0415 - its table is defined later.

    owners, sent = agents.TABLE, deliveries.TABLE
    owns = and_(owners.c.tenant == TABLE.c.tenant, owners.c.id == TABLE.c.id)
    sends = and_(sent.c.tenant == TABLE.c.tenant, sent.c.agent_id == TABLE.c.id)
    return (
        repository.plan(
            "name",
            matching(
                database,
                owners.join(TABLE, owns),
                select(TABLE),
                (owners.c.tenant, owners.c.name_key),
            ),
        ),
        repository.plan(
            "delivery",
            matching(
                database,
                sent.join(TABLE, sends),
                select(TABLE),
                (sent.c.tenant, sent.c.id),
            ),
        ),
    )


MAIL_ACCOUNTS: Repository[MailAccount] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    loads=_loads,
)
