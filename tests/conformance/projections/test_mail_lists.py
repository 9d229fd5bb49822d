"""The lists of sent and received messages, on every database."""

from pathlib import Path

import pytest

from quorate.projections.mail.queries import InboxFilter, MailReader, Range
from tests.conformance.eventlog.conformance import OTHER_TENANT, TENANT
from tests.conformance.projections.projection_stage import DATABASES, open_stage
from tests.unit.support.sample_commands import id_of
from tests.unit.support.sample_mail_commands import address_of, delete, read, send


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


@pytest.mark.parametrize("database", DATABASES)
async def test_filters_of_an_inbox_select_messages_of_this_tenant(
    tmp_path: Path, database: str
) -> None:
    async with open_stage(database, tmp_path) as stage:
        await stage.create_agents("ann", "bob", "cid")
        await stage.create_agents("ann", "bob", tenant=OTHER_TENANT)
        await stage.execute(send("ann", "bob", message="msg_9"), tenant=OTHER_TENANT)
        await stage.execute(
            send("ann", "bob", message="msg_1", subject="TASK:7: leads"),
            send("cid", "bob", message="msg_2"),
            send("ann", "bob", message="msg_3"),
            read("bob", "msg_3"),
        )
        reader = MailReader(stage.log, stage.clock)
        expected = {
            InboxFilter(): ["msg_3", "msg_2", "msg_1"],
            InboxFilter(unread_only=True): ["msg_2", "msg_1"],
            InboxFilter(from_address=address_of("cid")): ["msg_2"],
            InboxFilter(thread_id="thr_3"): ["msg_3"],
            InboxFilter(kind="TASK"): ["msg_1"],
            InboxFilter(task_id="7"): ["msg_1"],
        }
        for filters, ids in expected.items():
            page = await reader.inbox(TENANT, id_of("bob"), filters, Range(), 20, 1_000_000)
            assert [row.message.id for row in page.found.rows] == ids, filters
