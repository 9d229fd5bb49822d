"""The list of sent messages, on every database."""

from pathlib import Path

import pytest

from quorate.projections.mail.queries import MailReader, Range
from tests.conformance.eventlog.conformance import TENANT
from tests.conformance.projections.projection_stage import DATABASES, open_stage
from tests.unit.support.sample_commands import id_of
from tests.unit.support.sample_mail_commands import delete, send


@pytest.mark.parametrize("database", DATABASES)
async def test_sender_lists_what_it_sent_and_has_not_deleted(tmp_path: Path, database: str) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.create_agents("ann", "bob")
        await stage.execute(*(send("ann", "bob", message=f"msg_{n}") for n in range(4)))
        await stage.execute(send("bob", "ann", message="msg_other"), delete("ann", "msg_2"))
        reader = MailReader(stage.log, stage.clock)
        page = (await reader.sent(TENANT, id_of("ann"), Range(), 2, 1_000_000)).found

        assert [row.message.id for row in page.rows] == ["msg_3", "msg_1"]
        assert page.has_more
