"""Sample states of the read models of sessions, and the column values that are no field of them."""

from collections.abc import Mapping

from sqlalchemy import Table

from quorate.domain.sessions.presets import Preset
from quorate.domain.shared.timestamps import Timestamp
from quorate.projections.sessions import presets
from tests.conformance.projections.mail_rows import Sample

PRESET = Preset(id="observer", fields={"sessions": {"can_send": False}}, updated_at=Timestamp(80))


def samples(tenant: str) -> Mapping[Table, Sample]:
    return {
        presets.TABLE: (
            PRESET,
            presets.to_row,
            presets.from_row,
            {"tenant": tenant, "fields": '{"sessions":{"can_send":false}}'},
        ),
    }
