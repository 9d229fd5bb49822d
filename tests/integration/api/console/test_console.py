"""The login, the sessions and the pages of the console, for every view of its registry."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio

from quorate.api.console import actions
from quorate.api.console.actions import ACTIONS, Action, find_action
from quorate.api.console.caller import BY_NAME
from quorate.api.console.pages import CONTENT_SECURITY_POLICY
from quorate.api.console.views.registry import VIEWS
from quorate.api.console.views.view import View
from quorate.application.rate_limiter import Rates
from quorate.domain.shared.records import changed
from quorate.eventlog.console_sessions import SESSIONS_PER_KEY_MAX
from tests.integration.api.asgi_client import AsgiRequest, AsgiResponse
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORIGIN = "http://quorate.test"  # That of AsgiRequest.
FOREIGN = "https://evil.example.com"
HOSTILE = "<script>alert(1)</script>\u202e"
SEE_OTHER = 303
LEASE = "/v1/agent/coordination/lease"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("console") / "data") as service:
        yield service


async def page(service: InProcess, path: str, cookie: str = "") -> AsgiResponse:
    headers = [("Cookie", cookie)] if cookie else []
    return await service.ask(AsgiRequest(method="GET", path=f"/console{path}", headers=headers))


async def post(
    service: InProcess, path: str, cookie: str = "", origin: str | None = ORIGIN, **fields: str
) -> AsgiResponse:
    body = urlencode(fields).encode()
    headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Content-Length", str(len(body))),
        *([("Cookie", cookie)] if cookie else []),
        *([("Origin", origin)] if origin else []),
    ]
    request = AsgiRequest(method="POST", path=f"/console{path}", headers=headers, chunks=(body,))
    return await service.ask(request)


def cookie_of(response: AsgiResponse) -> str:
    assert response.status == SEE_OTHER, response.body
    return (response.header("set-cookie") or "").partition(";")[0]


async def log_in(service: InProcess, key: str) -> str:
    return cookie_of(await post(service, "/login", key=key))


async def issue(service: InProcess, role: str, **more: object) -> Any:  # noqa: ANN401 - JSON.
    return (await service.call("POST", "/v1/keys", {"role": role, **more})).json


async def fill(service: InProcess, contact: str) -> dict[str, str]:
    """Create one of each thing, with hostile text; return the values of paths."""
    body = {"agentName": contact.partition("@")[0], "agentRole": HOSTILE}
    agent = (await service.call("POST", "/v1/agent/register", body)).json["id"]
    lease = {"agentId": agent, "contactEmail": contact, "intent": HOSTILE, "durationMinutes": 5}
    assert (await service.call("POST", LEASE, lease)).status == 200
    vote = {
        "requestingAgentId": agent,
        "action": HOSTILE,
        "contactEmail": contact,
        "reason": HOSTILE,
    }
    proposed = await service.call("POST", "/v1/agent/coordination/consensus", vote)
    session, task = await fill_sessions(service, agent)
    mail = {"agent_id": agent, "to": ["kim@example.com"], "subject": HOSTILE[:-1]}
    sent = await service.call("POST", "/email/send", {**mail, "body_text": HOSTILE})
    return {
        "/mail/threads/{id}": f"/mail/threads/{sent.json['thread_id']}",
        "/why/{id}": "/why/1",
        "/agents/{id}": f"/agents/{agent}",
        "/tasks/{id}": f"/tasks/{task}",
        "{state}": "working",
        "/session$": f"/session?key={quote(session)}",
        "/votes/{id}": f"/votes/{proposed.json['id']}",
        "{email}": contact,
        "{sequence}": "1",
    }


async def fill_sessions(service: InProcess, agent: str) -> tuple[str, str]:
    """Create a session, a task with a question, a task list and a schedule; return two ids."""
    named = {"agent_id": agent}

    async def use(path: str, **body: object) -> Any:  # noqa: ANN401 - JSON.
        response = await service.call("POST", path, {**named, **body})
        assert response.status == 200, response.body
        return response.json

    session = (await use("/v1/tools/sessions_create", label=HOSTILE))["key"]
    await use("/v1/tools/sessions_send", key=session, message=HOSTILE, context=HOSTILE)
    await use("/v1/tools/sessions_send", key=session, message={HOSTILE: [HOSTILE]})
    spawned = await use("/v1/tools/spawn_agent", task=HOSTILE, context=HOSTILE, nonblocking=True)
    claimed = (await use("/v1/tasks/claim", presets=["-"]))["task"]
    held, path = {"fence": claimed["fence"]}, f"/v1/tasks/{claimed['task_id']}"
    await use(f"{path}/artifacts", name=HOSTILE, text="a", **held)
    await use(f"{path}/progress", message=HOSTILE, percent=5, **held)
    await use(f"{path}/input", text=HOSTILE, **held)
    await use("/v1/tools/task_list", action="create", subject=HOSTILE, description=HOSTILE)
    turn = {"kind": "agentTurn", "message": HOSTILE}
    every = {"every_seconds": 3_600}
    await use("/v1/tools/schedule", action="create", name=HOSTILE, schedule=every, payload=turn)
    return session, spawned["task_id"]


def path_of(view: View, values: dict[str, str]) -> str:
    path = f"{view.path}$"
    for name, value in values.items():
        path = path.replace(name, value)
    return path.removesuffix("$")


def require_policy(response: AsgiResponse) -> None:
    assert response.header("content-security-policy") == CONTENT_SECURITY_POLICY
    assert response.header("x-frame-options") == "DENY"
    assert response.header("cache-control") == "no-store"


async def test_views_need_a_session(service: InProcess) -> None:
    for view in VIEWS:
        response = await page(service, view.path)
        assert (response.status, response.header("location")) == (SEE_OTHER, "/console/login")
        require_policy(response)


async def test_views_show_hostile_text_as_text(service: InProcess) -> None:
    values = await fill(service, "hostile@example.com")
    cookie = await log_in(service, service.key)

    for view in VIEWS:
        response = await page(service, path_of(view, values), cookie)
        text = response.body.decode()
        assert response.status == 200, (view.name, text)
        require_policy(response)
        assert "<script>alert" not in text
        assert "\u202e" not in text
        assert "style=" not in text
        assert " onclick" not in text
    votes = (await page(service, "/votes", cookie)).body.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\u27e8U+202E\u27e9" in votes


async def test_event_page_says_why_with_links_to_its_facts(service: InProcess) -> None:
    values = await fill(service, "contested@example.com")
    rival = (await service.call("POST", "/v1/agent/register", {"agentName": "rival"})).json["id"]
    lease = {"agentId": rival, "contactEmail": values["{email}"]}
    assert (await service.call("POST", LEASE, lease)).status == 409
    log = (await service.get("/v1/events?type=LeaseConflicted")).json["events"]
    cookie = await log_in(service, service.key)

    text = (await page(service, f"/log/{log[-1]['sequence']}", cookie)).body.decode()

    explained = (await service.get(f"/v1/explain/{log[-1]['sequence']}")).json
    assert explained["facts"]
    for fact in explained["facts"]:
        assert f'href="/console/log/{fact["sequence"]}"' in text


async def test_cookie_is_for_this_browser_and_this_host_only(service: InProcess) -> None:
    response = await post(service, "/login", key=service.key)
    set_cookie = response.header("set-cookie") or ""

    assert "HttpOnly; SameSite=Strict" in set_cookie
    assert "Path=/console" in set_cookie
    assert "Max-Age=43200" in set_cookie


async def test_login_creates_a_new_session_id(service: InProcess) -> None:
    first = await log_in(service, service.key)
    second = cookie_of(await post(service, "/login", first, key=service.key))

    assert first != second
    assert (await page(service, "/", first)).status == SEE_OTHER
    assert (await page(service, "/", second)).status == 200


async def test_key_has_a_limited_number_of_sessions(service: InProcess) -> None:
    key = (await issue(service, "auditor"))["key"]
    other = await log_in(service, service.key)
    cookies = [await log_in(service, key) for _ in range(SESSIONS_PER_KEY_MAX + 1)]

    assert (await page(service, "/log", cookies[-1])).status == 200
    ended = [cookie for cookie in cookies if (await page(service, "/log", cookie)).status != 200]
    assert len(ended) == 1  # One of the oldest; several may begin in one millisecond.
    assert (await page(service, "/log", other)).status == 200


async def test_session_id_that_a_browser_sends_before_login_is_not_used(service: InProcess) -> None:
    planted = "quorate_console=planted-by-an-attacker"
    cookie = cookie_of(await post(service, "/login", planted, key=service.key))

    assert cookie != planted
    assert (await page(service, "/", planted)).status == SEE_OTHER


@pytest.mark.parametrize("origin", [None, "null", FOREIGN, "http://quorate.test.evil.example"])
@pytest.mark.parametrize("path", ["/login", "/logout", "/link", "/tenant", "/actions/revokeKey"])
async def test_forms_of_other_origins_are_rejected(
    service: InProcess, origin: str | None, path: str
) -> None:
    cookie = await log_in(service, service.key)
    fields = {"key": service.key, "id": "some-key", "tenant": "default"}

    assert (await post(service, path, cookie, origin, **fields)).status == 403
    assert (await page(service, "/", cookie)).status == 200


async def test_cookie_is_worthless_after_logout(service: InProcess) -> None:
    cookie = await log_in(service, service.key)

    response = await post(service, "/logout", cookie)

    assert "Max-Age=0" in (response.header("set-cookie") or "")
    assert (await page(service, "/", cookie)).status == SEE_OTHER


async def test_revoked_key_ends_its_session(service: InProcess) -> None:
    issued = await issue(service, "auditor")
    cookie = await log_in(service, issued["key"])
    assert (await page(service, "/", cookie)).status == 200

    await service.call("DELETE", f"/v1/keys/{issued['id']}")

    assert (await page(service, "/", cookie)).status == SEE_OTHER


async def test_action_revokes_a_key(service: InProcess) -> None:
    issued = await issue(service, "auditor")
    cookie = await log_in(service, service.key)

    shown = await page(service, f"/actions/revokeKey?id={issued['id']}", cookie)
    done = await post(
        service,
        "/actions/revokeKey",
        cookie,
        id=issued["id"],
        reason="leaked",
        back=FOREIGN,
    )

    assert b"cannot be undone" in shown.body
    assert (done.status, done.header("location")) == (SEE_OTHER, "/console/")
    assert (await service.get("/v1/keys/self", key=issued["key"])).status == 401


async def test_action_asks_for_its_reason(service: InProcess) -> None:
    cookie = await log_in(service, service.key)

    response = await post(service, "/actions/endConsensus", cookie, id="any", reason=" ")

    assert response.status == 422
    assert b"Say why" in response.body


@pytest.mark.parametrize("role", ["agent", "auditor"])
async def test_keys_of_agents_and_auditors_have_no_actions(service: InProcess, role: str) -> None:
    more = {"agentName": "no-actions"} if role == "agent" else {}
    cookie = await log_in(service, (await issue(service, role, **more))["key"])

    for action in ACTIONS:
        response = await post(service, f"/actions/{action.operation}", cookie, id="a", reason="b")
        assert response.status == 404


async def test_action_is_shown_once_its_operation_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    action = Action(operation="addedLater", label="Later", consequence="It happens.")
    session = SimpleNamespace(principal=SimpleNamespace(role="tenant"))
    caller: Any = SimpleNamespace(session=session)
    monkeypatch.setattr(actions, "ACTIONS", (action,))
    assert find_action(caller, "addedLater") is None

    added = changed(BY_NAME["revokeKey"], name="addedLater")
    monkeypatch.setattr(actions, "BY_NAME", {**BY_NAME, "addedLater": added})
    assert find_action(caller, "addedLater") is action


async def test_roles_see_the_views_whose_operations_they_may_call(service: InProcess) -> None:
    agent = await log_in(service, (await issue(service, "agent", agentName="viewer"))["key"])
    mail = await log_in(service, (await issue(service, "mail"))["key"])

    assert (await page(service, "/leases", agent)).status == 200
    assert (await page(service, "/log", agent)).status == 403
    for view in VIEWS:
        assert (await page(service, view.path, mail)).status == 403


async def test_views_of_one_tenant_never_show_another(service: InProcess) -> None:
    values = await fill(service, "secret-contact@example.com")
    admin = service.credentials["adminKey"]
    await service.call("POST", "/v1/tenants", {"tenantId": "other"}, key=admin)
    body = {"role": "tenant", "tenantId": "other"}
    key = (await service.call("POST", "/v1/keys", body, key=admin)).json["key"]
    cookie = await log_in(service, key)

    for view in VIEWS:
        path = path_of(view, values)
        response = await page(service, path, cookie)
        text = response.body.decode()
        if "{email}" in view.path:  # The page repeats the contact of its own URL.
            text = text.replace(values["{email}"], "").replace(quote(values["{email}"]), "")
        assert "secret-contact" not in text, view.name


async def test_admin_reads_the_tenant_that_was_picked(service: InProcess) -> None:
    await fill(service, "picked@example.com")
    cookie = await log_in(service, service.credentials["adminKey"])
    assert b"one tenant at a time" in (await page(service, "/", cookie)).body

    picked = cookie_of(await post(service, "/tenant", cookie, tenant="default"))

    assert b"picked@example.com" in (await page(service, "/leases", picked)).body
    assert (await page(service, "/", cookie)).status == SEE_OTHER


async def test_link_logs_in_once(service: InProcess) -> None:
    path = (await service.call("POST", "/console/links")).json["path"]
    secret = path.rpartition("/")[2]
    assert secret.encode() in (await page(service, path.removeprefix("/console"))).body

    cookie = cookie_of(await post(service, "/link", link=secret))

    assert (await page(service, "/", cookie)).status == 200
    assert (await post(service, "/link", link=secret)).status == 401
    assert (await page(service, "/", f"quorate_console={secret}")).status == SEE_OTHER


async def test_stream_of_an_ended_session_says_so(service: InProcess) -> None:
    assert b"event: end" in (await page(service, "/live/leases")).body


async def test_browser_is_sent_to_the_console(service: InProcess) -> None:
    headers = [("Accept", "text/html,*/*")]
    browser = await service.ask(AsgiRequest(method="GET", path="/", headers=headers))
    program = await service.ask(AsgiRequest(method="GET", path="/"))

    assert (browser.header("location"), program.header("location")) == ("console/", "docs")


async def test_failed_logins_are_limited(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("limited") / "data"
    async with run_in_process(folder, rates=Rates(failed_keys_per_minute=3)) as limited:
        found = [(await post(limited, "/login", key=f"wrong{n}")).status for n in range(5)]

    assert found == [401, 401, 401, 429, 429]


async def test_logins_count_as_commands_of_the_key(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("counted") / "data"
    rates = Rates(per_tenant=0.1, burst_per_tenant=10)
    async with run_in_process(folder, rates=rates) as limited:
        found = [(await post(limited, "/login", key=limited.key)).status for _ in range(15)]

    assert found[0] == SEE_OTHER
    assert found[-1] == 429
