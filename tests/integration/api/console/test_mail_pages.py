"""The pages of mail: a mailbox, a thread with the state of each delivery, and dead letters."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.integration.api.console.test_actions import dead_letter, ok
from tests.integration.api.console.test_console import HOSTILE, cookie_of, log_in, page, post
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANN, BOB = "ann@agents.localhost", "bob@agents.localhost"
KIM = "kim@example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("mail") / "data") as service:
        for name in ("ann", "bob"):
            await ok(service, "/v1/agent/register", {"agentName": name})
        yield service


async def send(service: InProcess, sender: str, *to: str, **more: object) -> Any:  # noqa: ANN401
    return await ok(service, "/email/send", {"agent_name": sender, "to": [*to], **more})


async def shown(service: InProcess, path: str, key: str | None = None) -> str:
    cookie = await log_in(service, key or service.key)
    response = await page(service, path, cookie)
    assert response.status == 200, response.body.decode()
    return response.body.decode()


async def key_of(service: InProcess, role: str, **more: object) -> str:
    return str((await ok(service, "/v1/keys", {"role": role, **more}))["key"])


async def test_mailbox_shows_what_the_agent_received_and_sent(service: InProcess) -> None:
    await send(service, "ann", BOB, subject="Prices of June")
    await send(service, "bob", ANN, subject="Prices of July")

    inbox = await shown(service, "/mail?agent=bob")
    sent = await shown(service, "/mail?agent=bob&box=sent")

    assert "Prices of June" in inbox
    assert "Prices of July" not in inbox
    assert "Prices of July" in sent
    assert ANN in sent


async def test_reading_a_mailbox_or_a_thread_marks_nothing_as_read(service: InProcess) -> None:
    message = await send(service, "ann", BOB, subject="Unread one")

    await shown(service, "/mail?agent=bob")
    await shown(service, f"/mail/threads/{message['thread_id']}")

    assert "Unread one" in await shown(service, "/mail?agent=bob&unread=1")


async def test_thread_shows_the_state_of_the_delivery_to_each_recipient(service: InProcess) -> None:
    message = await send(service, "ann", BOB, KIM, subject="Two", body_text="Dear both")

    text = await shown(service, f"/mail/threads/{message['thread_id']}")

    assert "Dear both" in text
    assert f'<span class="badge delivered">Delivered</span> {BOB}' in text
    assert f'<span class="badge held">Held</span> {KIM}' in text
    assert "No relay" in text


async def test_api_tells_the_recipients_to_the_sender_and_not_to_a_recipient(
    service: InProcess,
) -> None:
    message = await send(service, "ann", BOB, KIM, subject="Who got it")
    path = f"/email/message/{message['message_id']}"

    of_tenant = (await service.get(f"{path}?mark_read=false")).json
    of_sender = (await service.get(f"{path}?agent_name=ann")).json
    of_recipient = (await service.get(f"{path}?agent_name=bob&mark_read=false")).json

    assert of_tenant["recipients"] == of_sender["recipients"] == message["recipients"]
    assert "recipients" not in of_recipient


async def test_search_finds_messages_of_the_mailbox(service: InProcess) -> None:
    await send(service, "ann", BOB, subject="Zeppelin")
    path = "/email/search?agent_name=bob&q=zeppelin"
    for _ in range(200):  # The index is filled after the commit.
        if (await service.get(path)).json["messages"]:
            break
    else:
        pytest.fail("the message is not in the index")

    assert "Zeppelin" in await shown(service, "/mail?agent=bob&q=zeppelin")
    assert "No message contains" in await shown(service, "/mail?agent=bob&q=airship")


async def test_agent_key_sees_its_own_mailbox_only(service: InProcess) -> None:
    key = await key_of(service, "agent", agentName="ann")
    await send(service, "bob", ANN, subject="For Ann")
    await send(service, "ann", BOB, subject="For Bob")

    own = await shown(service, "/mail", key)
    others = await page(service, "/mail?agent=bob", await log_in(service, key))

    assert "For Ann" in own
    assert "For Bob" not in own
    assert others.status == 403


@pytest.mark.parametrize("role", ["auditor", "admin"])
async def test_keys_that_may_not_list_a_mailbox_are_told_so(service: InProcess, role: str) -> None:
    await send(service, "ann", BOB, subject="Not for all")
    if role == "auditor":
        cookie = await log_in(service, await key_of(service, role))
    else:
        cookie = await log_in(service, service.credentials["adminKey"])
        cookie = cookie_of(await post(service, "/tenant", cookie, tenant="default"))

    text = (await page(service, "/mail?agent=bob", cookie)).body.decode()

    assert "may not list the messages" in text
    assert BOB in text
    assert "Not for all" not in text


async def test_dead_letters_are_retried_and_dropped_from_the_page(service: InProcess) -> None:
    letter = await dead_letter(service, "ann")

    text = await shown(service, "/mail")

    assert f"/console/actions/retryDeadLetter?id={letter}" in text
    assert f"/console/actions/dropDeadLetter?id={letter}" in text
    assert f"/console/why/{letter}" in text
    assert letter not in await shown(service, "/mail?deliveries=held")


async def test_hostile_mail_is_shown_as_text(service: InProcess) -> None:
    message = await send(service, "ann", BOB, subject=HOSTILE, body_text=HOSTILE)

    for path in (
        "/mail?agent=bob",
        "/mail?agent=ann&box=sent",
        f"/mail/threads/{message['thread_id']}",
    ):
        text = await shown(service, path)
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "&lt;script&gt;alert(1)" in text


async def test_long_body_is_cut(service: InProcess) -> None:
    message = await send(service, "ann", BOB, subject="Long", body_text="x" * 65_536)

    text = await shown(service, f"/mail/threads/{message['thread_id']}")

    assert "57536 more characters are not shown" in text
    assert "x" * 8_001 not in text
