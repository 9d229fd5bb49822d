"""Pages of the past: what they show, and that every link keeps their moment."""

import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import pytest_asyncio

from quorate.api.console.views.registry import VIEWS
from tests.integration.api.console.test_console import LEASE, fill, log_in, page, path_of
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTACT = "then@example.com"
_LINK = re.compile(r'<a\b(?=([^>]*)>)[^>]*\bhref="(/console[^"]*)"')
_FORM = re.compile(r"<form\b[^>]*>(?:(?!</form>).)*</form>", re.DOTALL)
_LIVE = re.compile(r'<(\w+) id="([^"]+)"[^>]* data-live>(.*?)</\1>', re.DOTALL)
_AT_VOTE = re.compile(r'href="([^"]*)">At this vote<')
_TAG = re.compile(r"<[^>]*>")
# Counts of now and of lists differ, and so does what a page says of the process.
_NOT_COMPARED = ("counter-", "chain", "head", "quotas")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("past") / "data") as service:
        yield service


def with_moment(path: str, moment: object) -> str:
    return f"{path}{'&' if '?' in path else '?'}asOf={quote(str(moment), safe='')}"


def live_texts(body: bytes) -> dict[str, str]:
    """Return the text of each live element by its id."""
    found = {id_: _TAG.sub("", inner) for _, id_, inner in _LIVE.findall(body.decode())}
    return {id_: one for id_, one in found.items() if not id_.startswith(_NOT_COMPARED)}


async def head_of(service: InProcess) -> int:
    return int((await service.get("/v1/events?limit=1")).json["head"])


async def test_page_of_a_moment_shows_what_the_page_showed_then(service: InProcess) -> None:
    values = await fill(service, CONTACT)
    issued = await service.call("POST", "/v1/keys", {"role": "auditor"})
    cookie = await log_in(service, issued.json["key"])  # It has no actions, which the past lacks.
    moment = await head_of(service)
    paths = {view.name: path_of(view, values) for view in VIEWS if view.name != "audit"}
    now = {name: (await page(service, path, cookie)).body for name, path in paths.items()}
    await fill(service, "later@example.com")
    lease = (await service.get(f"{LEASE}s?contactEmail={CONTACT}")).json[0]["id"]
    assert (await service.call("DELETE", f"{LEASE}/{lease}")).status == 200

    compared = 0
    for name, path in paths.items():
        response = await page(service, with_moment(path, moment), cookie)
        assert response.status == 200, (name, response.body)
        assert live_texts(response.body) == live_texts(now[name]), name
        compared += len(live_texts(response.body))

    assert compared > len(paths)
    assert b"later@example.com" in (await page(service, "/leases", cookie)).body
    assert CONTACT.encode() not in (await page(service, "/leases", cookie)).body


async def test_every_link_and_form_of_a_past_page_keeps_the_moment(service: InProcess) -> None:
    values = await fill(service, "links@example.com")
    cookie = await log_in(service, service.key)
    moment = await head_of(service)
    await fill(service, "links-later@example.com")

    for view in VIEWS:
        path = with_moment(path_of(view, values), moment)
        text = (await page(service, path, cookie)).body.decode()
        kept = [
            parse_qs(urlsplit(target.replace("&amp;", "&")).query).get("asOf")
            for attributes, target in _LINK.findall(text)
            if "data-present" not in attributes
        ]
        assert kept, view.name
        assert None not in kept, view.name
        for form in _FORM.findall(text):
            assert 'method="post"' in form or 'name="asOf"' in form, view.name
        assert "/console/actions/" not in text, view.name
        assert "sse-connect" not in text, view.name
        assert "data-stands" in text, view.name
        assert "data-present>Live</a>" in text, view.name


async def test_vote_links_to_the_electorate_at_that_vote(service: InProcess) -> None:
    names = ("voter-a", "voter-b", "voter-c", "voter-d")
    ids = [
        (await service.call("POST", "/v1/agent/register", {"agentName": name})).json["id"]
        for name in names
    ]
    sent = {"requestingAgentId": ids[0], "action": "a", "contactEmail": CONTACT, "reason": "r"}
    proposed = await service.call("POST", "/v1/agent/coordination/consensus", sent)
    path = f"/v1/agent/coordination/consensus/{proposed.json['id']}/vote"
    assert (await service.call("POST", path, {"agentId": ids[1], "vote": "reject"})).status == 200
    assert (await service.call("POST", "/v1/agent/deregister", {"agentId": ids[3]})).status == 200
    cookie = await log_in(service, service.key)

    now = (await page(service, f"/votes/{proposed.json['id']}", cookie)).body.decode()
    (target,) = _AT_VOTE.findall(now)
    then = await page(service, target.removeprefix("/console"), cookie)

    assert names[3] not in now
    assert names[3] in then.body.decode()


async def test_stream_of_the_past_does_not_exist(service: InProcess) -> None:
    cookie = await log_in(service, service.key)
    assert (await page(service, "/live/agents?asOf=1", cookie)).status == 404


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("9000000000", 422),
        ("2999-01-01T00:00:00Z", 422),
        ("2001-01-01T00:00:00Z", 410),
        ('"><script>alert(1)</script>', 422),
        (r"\g<0>", 422),
    ],
)
async def test_moment_that_cannot_be_shown_is_a_page_with_a_link_to_the_present(
    service: InProcess, moment: str, status: int
) -> None:
    cookie = await log_in(service, service.key)

    response = await page(service, with_moment("/leases?agent=a%22b", moment), cookie)

    text = response.body.decode()
    assert response.status == status
    assert 'href="/console/leases?agent=a%22b"' in text
    assert "<script>alert" not in text


async def test_page_without_a_moment_offers_the_past(service: InProcess) -> None:
    cookie = await log_in(service, service.key)
    head = await head_of(service)

    text = (await page(service, "/agents", cookie)).body.decode()

    assert f'max="{head}" value="{head}"' in text
    assert "data-stands" not in text


async def test_page_says_what_is_not_of_its_moment(service: InProcess) -> None:
    await fill(service, "searcher@example.com")
    cookie = await log_in(service, service.key)
    moment = await head_of(service)

    search = with_moment("/mail?agent=searcher&q=a", moment)
    text = (await page(service, search, cookie)).body.decode()
    plain = (await page(service, with_moment("/leases", moment), cookie)).body.decode()

    assert "Not of this moment: The search index contains the messages of now." in text
    assert "Not of this moment" not in plain


async def test_time_names_a_moment_and_is_kept_as_it_was_sent(service: InProcess) -> None:
    cookie = await log_in(service, service.key)
    last = (await service.get("/v1/events?limit=1000")).json["events"][-1]

    text = (await page(service, with_moment("/agents", last["at"]), cookie)).body.decode()

    assert f"As of event {last['sequence']}" in text.replace(",", "")
    assert f"asOf={quote(last['at'], safe='')}" in text
