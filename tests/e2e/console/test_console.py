"""The console in Chromium: what an operator sees while agents work."""

import os
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from quorate.api.console.views.registry import VIEWS
from tests.e2e.service.service_process import ServiceProcess

AXE = Path(__file__).parent / "axe" / "axe.min.js"
WITHIN_A_SECOND = 1_000
SOON_MILLISECONDS = 20_000
ATTEMPTS = 5
ROWS_MAX = 200  # Of a list in console.js.
# QUORATE_GROWTH_EVENTS=10000 takes a minute on a slow machine.
GROWTH_EVENTS = int(os.environ.get("QUORATE_GROWTH_EVENTS", "600"))
WRITERS = 4
GROWTH_BYTES_MAX = 400_000
GROWTH_NODES_MAX = 2_000
HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.exe " + "a" * 70
COORDINATION = "/v1/agent/coordination"


class Watched:
    """A browser context, with the errors and the hosts of all its pages."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        context.on("console", self._record)
        context.on("request", self._record_host)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))

    def _record(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _record_host(self, request: Request) -> None:
        self.hosts.add(urlsplit(request.url).netloc)

    def open(self, path: str) -> Page:
        page = self.context.new_page()
        page.goto(self.url + path)
        return page


@pytest.fixture
def watched(browser: Browser, service: ServiceProcess) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    found = Watched(context, service.url)
    page = found.open("/console/login")
    page.get_by_label("API key").fill(service.api_key)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.close()
    yield found
    context.close()


class Api:
    def __init__(self, service: ServiceProcess) -> None:
        headers = {"Authorization": f"Bearer {service.api_key}"}
        self.client = httpx2.Client(base_url=service.url, headers=headers, trust_env=False)

    def post(self, path: str, expected: int = 200, **body: object) -> Any:  # noqa: ANN401 - JSON.
        response = self.client.post(path, json=body)
        assert response.status_code == expected, response.text
        return response.json()

    def register(self, name: str) -> str:
        return str(self.post("/v1/agent/register", agentName=name, agentRole="sales")["id"])

    def acquire(self, agent: str, contact: str, expected: int = 200) -> Any:  # noqa: ANN401 - JSON.
        body = {"agentId": agent, "contactEmail": contact, "intent": HOSTILE, "durationMinutes": 5}
        return self.post(f"{COORDINATION}/lease", expected, **body)

    def spawn(self, agent: str) -> str:
        path = "/v1/tools/spawn_agent"
        return str(self.post(path, agent_id=agent, task=HOSTILE, nonblocking=True)["task_id"])

    def send(self, agent: str, key: str) -> None:
        self.post("/v1/tools/sessions_send", agent_id=agent, key=key, message=HOSTILE)

    def send_mail(self, agent: str, to: str, subject: str = HOSTILE) -> Any:  # noqa: ANN401 - JSON.
        body: Any = {"to": [to], "subject": subject, "body_text": HOSTILE}
        return self.post("/email/send", agent_id=agent, **body)


@pytest.fixture
def api(service: ServiceProcess) -> Iterator[Api]:
    found = Api(service)
    with found.client:
        yield found


def is_live(page: Page, timeout: float = SOON_MILLISECONDS) -> None:
    expect(page.locator("[data-connection]")).to_have_text("Live", timeout=timeout)


def test_conflict_appears_within_a_second(watched: Watched, api: Api) -> None:
    ann, bob = api.register("conflict-ann"), api.register("conflict-bob")
    page = watched.open("/console/")
    is_live(page)

    for attempt in range(ATTEMPTS):  # Another process may use the processor for a second.
        contact = f"conflict{attempt}@example.com"
        api.acquire(ann, contact)
        api.acquire(bob, contact, expected=409)
        row = page.locator("[id^=conflict-]", has_text=contact).first
        try:
            expect(row).to_be_visible(timeout=WITHIN_A_SECOND)
        except AssertionError:
            expect(row).to_be_visible(timeout=SOON_MILLISECONDS)
        else:
            break
    else:
        pytest.fail(f"none of {ATTEMPTS} conflicts appeared within a second")
    assert watched.errors == []


def test_deciding_vote_appears(watched: Watched, api: Api) -> None:
    ann = api.register("vote-ann")
    body: Any = {"contactEmail": "vote@example.com", "action": "send", "reason": HOSTILE}
    proposed = api.post(
        f"{COORDINATION}/consensus", requestingAgentId=ann, electorate="snapshot", **body
    )
    page = watched.open(f"/console/votes/{proposed['id']}")
    is_live(page)
    expect(page.locator("#vote .badge").first).to_have_text("Pending")

    for voter in [one["agentId"] for one in _electorate(api, proposed["id"])]:
        status = page.locator("#vote .badge").first
        if status.inner_text() != "Pending":
            break
        path = f"{COORDINATION}/consensus/{proposed['id']}/vote"
        api.client.post(path, json={"agentId": voter, "vote": "approve"})

    expect(page.locator("#vote .badge").first).to_have_text("Approved", timeout=SOON_MILLISECONDS)
    assert watched.errors == []


def _electorate(api: Api, id_: str) -> Any:  # noqa: ANN401 - JSON.
    return api.client.get(f"{COORDINATION}/consensus/{id_}/electorate").json()


def test_task_moves_over_the_board_and_back_by_an_action(watched: Watched, api: Api) -> None:
    ann = api.register("board-ann")
    page = watched.open("/console/tasks")
    is_live(page)

    task = api.spawn(ann)
    expect(page.locator(f"#submitted-{task}")).to_be_visible(timeout=SOON_MILLISECONDS)
    api.post("/v1/tasks/claim", agent_id=ann, presets=["-"])
    card = page.locator(f"#working-{task}")
    expect(card).to_contain_text("1 of 3", timeout=SOON_MILLISECONDS)
    expect(page.locator(f"#submitted-{task}")).to_have_class(re.compile("gone"))
    card.get_by_role("link", name="Requeue task").click()
    page.get_by_label("Reason").fill("The worker hangs")
    page.get_by_role("button", name="Requeue task").click()

    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    expect(page.locator(f"#submitted-{task}")).to_contain_text("0 of 3")
    assert watched.errors == []


def test_message_of_a_session_appears_at_the_top(watched: Watched, api: Api) -> None:
    ann = api.register("session-ann")
    api.send(ann, "agent:session-ann:main")
    page = watched.open("/console/sessions")
    page.get_by_role("link", name="agent:session-ann:main").click()
    is_live(page)

    api.send(ann, "agent:session-ann:main")

    first = page.locator(".messages li").first
    expect(first).to_have_id("message-1", timeout=SOON_MILLISECONDS)
    expect(first).to_contain_text("<img src=x onerror=alert(1)>")
    assert watched.errors == []


def test_paused_page_changes_only_when_it_is_resumed(watched: Watched, api: Api) -> None:
    page = watched.open("/console/agents")
    is_live(page)
    page.get_by_role("button", name="Pause").click()

    api.register("seen-after-pause")

    resume = page.get_by_role("button", name="Resume (changed)")
    expect(resume).to_be_visible()
    expect(page.get_by_text("seen-after-pause")).to_have_count(0)
    resume.click()
    expect(page.get_by_text("seen-after-pause")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_views_are_accessible_and_load_only_from_the_service(
    watched: Watched, api: Api, scheme: Literal["light", "dark"], width: int
) -> None:
    ann = api.register(f"axe-{scheme}-{width}")
    api.acquire(ann, f"axe-{scheme}-{width}@example.com")
    task = api.spawn(ann)
    api.send(ann, f"agent:axe-{scheme}-{width}:main")
    api.post("/v1/tools/task_list", agent_id=ann, action="create", subject=HOSTILE)
    turn = {"kind": "agentTurn", "message": HOSTILE}
    hourly: Any = {"schedule": {"every_seconds": 3_600}, "payload": turn}
    api.post("/v1/tools/schedule", agent_id=ann, action="create", name=HOSTILE, **hourly)
    values = {
        "/agents/{id}": f"/agents/{ann}",
        "/tasks/{id}": f"/tasks/{task}",
        "{state}": "submitted",
        "/session$": f"/session?key=agent:axe-{scheme}-{width}:main",
        "/why/{id}": "/why/1",
    }
    page = watched.open("/console/")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": 800})
    own = f"axe-{scheme}-{width}@agents.localhost"
    values["/mail/threads/{id}"] = f"/mail/threads/{api.send_mail(ann, own)['thread_id']}"
    paths = [_path_of(view.path, values) for view in VIEWS]
    for path in ["/login", *paths, f"/mail?agent={ann}", f"/actions/deactivateAgent?id={ann}"]:
        page.goto(f"{watched.url}/console{path}")
        page.evaluate(AXE.read_text())
        found = page.evaluate("axe.run().then(found => found.violations)")
        summary = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
        assert summary == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert watched.hosts == {urlsplit(watched.url).netloc}
    assert watched.errors == []


def _path_of(path: str, values: Mapping[str, str]) -> str:
    found = f"{path}$"
    for name, value in {**values, "{sequence}": "1", "{email}": "a@example.com"}.items():
        found = found.replace(name, value)
    return "/votes" if "{id}" in found else found.removesuffix("$")


def test_lease_ends_with_a_reason(watched: Watched, api: Api) -> None:
    lease = api.acquire(api.register("ends-ann"), "ends@example.com")
    page = watched.open("/console/contacts/ends@example.com")
    is_live(page)
    page.get_by_role("link", name="End lease").click()
    expect(page.get_by_text("The lease ends now.")).to_be_visible()
    page.get_by_label("Reason").fill("The contract ended")
    page.get_by_role("button", name="End lease").click()

    expect(page.get_by_text("No agent holds this contact.")).to_be_visible()
    expect(page.get_by_text("The contract ended")).to_be_visible()
    ended = api.client.get(f"{COORDINATION}/lease/{lease['id']}").json()
    assert ended["status"] == "revoked"
    assert watched.errors == []


def test_mail_arrives_on_the_open_page_and_is_searched(watched: Watched, api: Api) -> None:
    ann = api.register("mail-ann")
    page = watched.open(f"/console/mail?agent={ann}")
    is_live(page)
    api.send_mail(ann, "mail-ann@agents.localhost", "Zeppelin prices")
    row = page.locator("[id^=mail-]", has_text="Zeppelin prices")
    expect(row).to_be_visible(timeout=SOON_MILLISECONDS)
    found = f"/email/search?agent_id={ann}&q=zeppelin"
    for _ in range(100):  # The index is filled after the commit.
        if api.client.get(found).json()["messages"]:
            break

    page.get_by_label("Search").fill("zeppelin")
    page.get_by_role("button", name="Show", exact=True).click()
    page.locator("[id^=mail-]", has_text="Zeppelin prices").get_by_role("link").click()

    expect(page.get_by_role("heading", name="Zeppelin prices")).to_be_visible()
    expect(page.locator(".deliveries .badge")).to_have_text("Delivered")
    assert watched.errors == []


def test_page_heals_after_a_restart(watched: Watched, api: Api, service: ServiceProcess) -> None:
    page = watched.open("/console/agents")
    is_live(page)
    service.stop()
    expect(page.locator("[data-connection=lost]")).to_be_visible()
    service.start()
    api.register("after-restart")
    is_live(page)
    expect(page.get_by_text("after-restart")).to_be_visible()


def test_slider_shows_the_past_and_live_returns(watched: Watched, api: Api) -> None:
    ann = api.register("slider-ann")
    lease = api.acquire(ann, "slider@example.com")["id"]
    page = watched.open("/console/leases?contact=slider%40example.com")
    is_live(page)
    row = page.locator("[id^=lease-]", has_text="slider@example.com")
    expect(row).to_have_count(1)
    assert api.client.delete(f"{COORDINATION}/lease/{lease}").status_code == 200
    page.reload()
    expect(row).to_have_count(0)

    slider = page.get_by_role("slider")
    slider.press("ArrowLeft")

    expect(page.locator("[data-connection=past]")).to_contain_text("As of event")
    expect(row).to_have_count(1)
    assert "asOf=" in page.url
    assert "contact=slider" in page.url
    left = row.locator("[data-age]").inner_text()
    page.get_by_role("link", name="slider@example.com").click()
    assert "asOf=" in page.url
    page.go_back()
    expect(row.locator("[data-age]")).to_have_text(left)  # Ages of the past stand still.
    page.get_by_role("link", name="Live", exact=True).click()
    is_live(page)
    expect(row).to_have_count(0)
    assert "asOf=" not in page.url
    assert watched.errors == []


class Memory:
    """What a page keeps after a garbage collection."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")

    def read(self) -> tuple[float, float]:
        """Return the bytes of its scripts and its number of nodes."""
        self._session.send("HeapProfiler.collectGarbage")
        found = self._session.send("Performance.getMetrics")["metrics"]
        values = {one["name"]: float(one["value"]) for one in found}
        return values["JSHeapUsedSize"], values["Nodes"]


def acquire_and_release(api: Api, agent: str, number: int) -> bool:
    lease = api.acquire(agent, f"growth{number % 50}@example.com")
    return bool(api.client.delete(f"{COORDINATION}/lease/{lease['id']}").is_success)


@pytest.mark.parametrize("is_paused", [False, True], ids=["live", "paused"])
def test_page_does_not_grow_with_the_log(
    watched: Watched, api: Api, capsys: pytest.CaptureFixture[str], *, is_paused: bool
) -> None:
    ann = api.register("growth-ann")
    page = watched.open("/console/log")
    is_live(page)
    if is_paused:
        page.get_by_role("button", name="Pause").click()
    memory = Memory(page)
    seen, began = [], time.monotonic()
    for _ in range(3):
        write = partial(acquire_and_release, api, ann)
        with ThreadPoolExecutor(WRITERS) as writers:
            assert all(writers.map(write, range(GROWTH_EVENTS // 2)))
        head = api.client.get("/v1/events?limit=1").json()["head"]
        newest = page.locator(f"#event-{head}")
        if not is_paused:
            expect(newest).to_be_visible(timeout=SOON_MILLISECONDS)
        assert page.locator("[data-rows] > tr").count() <= ROWS_MAX
        seen.append(memory.read())
    rate = round(60 * 3 * GROWTH_EVENTS / (time.monotonic() - began))
    with capsys.disabled():
        print(f"\n{rate} events a minute; heap and nodes: {seen}")  # noqa: T201 - the figures.
    (_, (heap, nodes), (heap_after, nodes_after)) = seen

    assert heap_after < heap + GROWTH_BYTES_MAX
    assert nodes_after < nodes + GROWTH_NODES_MAX
    page.evaluate(f"window.kept = new Array({GROWTH_BYTES_MAX}).fill(1.5)")  # The control.
    assert memory.read()[0] > heap_after + GROWTH_BYTES_MAX
    if is_paused:
        page.get_by_role("button", name="Resume").click()
        expect(newest).to_be_visible(timeout=SOON_MILLISECONDS)
    assert watched.errors == []
