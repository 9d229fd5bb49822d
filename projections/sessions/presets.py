"""Read model of presets. The fields of a preset are one JSON object."""

import orjson
from sqlalchemy import BigInteger, Column, Table

from quorate.domain.sessions.presets import PRESETS as AGGREGATE
from quorate.domain.sessions.presets import REMOVED_PRESET, Preset
from quorate.domain.shared.timestamps import Timestamp
from quorate.eventlog.tables import text
from quorate.projections.metadata import Row, Values, metadata
from quorate.projections.repository import Find, Repository

TABLE = Table(
    "presets",
    metadata,
    Column("tenant", text(64), primary_key=True),
    Column("id", text(64), primary_key=True),
    Column("fields", text(), nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


def to_row(tenant: str, _id: str, preset: Preset) -> Values:
    fields = orjson.dumps(dict(preset.fields), option=orjson.OPT_SORT_KEYS).decode()
    return (tenant, preset.id, fields, preset.updated_at)


def from_row(row: Row) -> Preset:
    return Preset(id=row.id, fields=orjson.loads(row.fields), updated_at=Timestamp(row.updated_at))


PRESETS: Repository[Preset] = Repository(
    aggregate=AGGREGATE,
    table=TABLE,
    to_row=to_row,
    from_row=from_row,
    finds=(Find(index="id", columns=(TABLE.c.id,)),),
    is_removed=lambda preset: preset is REMOVED_PRESET,
)
