"""Read model of the settings of agents."""

import orjson
from sqlalchemy import Column, Table

from quorate.domain.identity.agent_settings import AGENT_SETTINGS as AGGREGATE
from quorate.domain.identity.agent_settings import REMOVED_SETTINGS, Settings
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, Repository

TABLE = Table(
    "configs",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("agent_id", text(64), primary_key=True),
    Column("settings", text(), nullable=False),  # A JSON object.
    sqlite_with_rowid=False,
)


def to_row(tenant: str, agent_id: str, settings: Settings) -> Values:
    text = orjson.dumps(dict(settings), option=orjson.OPT_SORT_KEYS).decode()
    return (tenant, agent_id, text)


def from_row(row: Row) -> Settings:
    settings: Settings = orjson.loads(row.settings)
    return settings


AGENT_SETTINGS: Repository[Settings] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    id_of=lambda row: row.agent_id,
    finds=(Find(index="id", columns=(TABLE.c.agent_id,)),),
    is_removed=lambda settings: settings is REMOVED_SETTINGS,
)
