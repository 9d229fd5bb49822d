"""Read model of the items of task lists.

``address`` is the list and the number of an item. It finds the item, and sorts all items.
"""

from collections.abc import Sequence
from operator import attrgetter

import orjson
from sqlalchemy import BigInteger, Column, Index, Integer, Table, and_, literal_column, select

from quorate.domain.identity.agents import HELD_LEASES
from quorate.domain.sessions.list_items import CLAIMED_ITEMS, ListItem, item_address
from quorate.domain.sessions.list_items import LIST_ITEMS as AGGREGATE
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.database import Database
from quorate.eventlog.tables import text
from quorate.projections.identity import agents
from quorate.projections.metadata import Row, Values, metadata, sql
from quorate.projections.repository import Find, LookupPlan, Owned, Repository, matching
from quorate.projections.sessions import task_lists

_CLAIMED = sql("status = 'in_progress'")

TABLE = Table(
    "list_items",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("address", text(80), nullable=False),
    Column("list_id", text(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("subject", text(), nullable=False),
    Column("description", text(), nullable=False),
    Column("status", text(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("owner_id", text(64)),
    Column("owner_name", text(64)),
    Column("blocked_by", text(), nullable=False),  # A JSON array of numbers.
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("list_items_by_address", "tenant", "address", unique=True),
    Index(
        "list_items_claimed",
        "owner_id",
        sqlite_where=_CLAIMED,
        postgresql_where=_CLAIMED,
    ),
    sqlite_with_rowid=False,
)

# The tenant in queries by owner: an expression, so that no index matches it.
_tenant_compared = TABLE.c.tenant.concat("")
# Written out: a bound value would not match the condition of the index.
is_claimed = TABLE.c.status == literal_column("'in_progress'")
_FIELDS = attrgetter(
    *("list_id", "number", "subject", "description", "status", "version", "owner_id", "owner_name")
)


def to_row(tenant: str, _id: str, item: ListItem) -> Values:
    return (
        tenant,
        item.id,
        item_address(item.list_id, item.number),
        *_FIELDS(item),
        orjson.dumps(item.blocked_by).decode(),
        item.created_at,
        item.updated_at,
    )


def from_row(row: Row) -> ListItem:
    return ListItem(
        id=row.id,
        list_id=row.list_id,
        number=row.number,
        subject=row.subject,
        status=row.status,
        version=row.version,
        created_at=Timestamp(row.created_at),
        updated_at=Timestamp(row.updated_at),
        description=row.description,
        owner_id=row.owner_id,
        owner_name=row.owner_name,
        blocked_by=tuple(orjson.loads(row.blocked_by)),
    )


def _loads(repository: Repository[ListItem], database: Database) -> Sequence[LookupPlan]:
    """Load with an item its list and the agent that has claimed it; with an agent, its items."""
    holders, lists = agents.TABLE, task_lists.TABLE
    holds = and_(holders.c.tenant == TABLE.c.tenant, holders.c.id == TABLE.c.owner_id)
    contains = and_(lists.c.tenant == TABLE.c.tenant, lists.c.id == TABLE.c.list_id)
    found: list[LookupPlan] = []
    for index, column in (("address", TABLE.c.address), ("id", TABLE.c.id)):
        by = (TABLE.c.tenant, column)
        owner = matching(database, TABLE, select(holders).distinct(), by, and_(is_claimed, holds))
        of_list = matching(database, TABLE, select(lists).distinct(), by, contains)
        read = f"{AGGREGATE.name}.{index}"
        found += [
            LookupPlan(read=read, brings="agent", query=owner, put=agents.AGENTS.put),
            LookupPlan(read=read, brings="task_list", query=of_list, put=task_lists.TASK_LISTS.put),
        ]
    by_id = (TABLE, (_tenant_compared, TABLE.c.owner_id), is_claimed)
    same = and_(_tenant_compared == holders.c.tenant, TABLE.c.owner_id == holders.c.id)
    by_name = (holders.join(TABLE, same), (holders.c.tenant, holders.c.name_key), is_claimed)
    for reads, (source, keys, where) in (
        ((f"{AGGREGATE.name}.owner", f"{HELD_LEASES}.id", f"{CLAIMED_ITEMS}.id"), by_id),
        ((f"{HELD_LEASES}.name", f"{CLAIMED_ITEMS}.name"), by_name),
    ):
        items = matching(database, source, select(TABLE), keys, where)
        of_items = matching(database, source, select(lists).distinct(), keys, and_(where, contains))
        for read in reads:
            found += [
                LookupPlan(read=read, brings=AGGREGATE.name, query=items, put=repository.put),
                LookupPlan(
                    read=read, brings="task_list", query=of_items, put=task_lists.TASK_LISTS.put
                ),
            ]
    return found


LIST_ITEMS: Repository[ListItem] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(
        Find(index="address", columns=(TABLE.c.address,)),
        Find(index="id", columns=(TABLE.c.id,)),
    ),
    loads=_loads,
    is_removed=lambda item: item.is_deleted,
    owned=Owned(
        is_of=lambda agent_id: TABLE.c.owner_id == agent_id,
        tenant=TABLE.c.tenant,
        where=is_claimed,
    ),
)
