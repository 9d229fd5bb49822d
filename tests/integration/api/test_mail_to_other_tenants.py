"""A send to an agent of another tenant tells nothing of its existence, neither by answer nor time.

Requests to an existing and to an unknown agent alternate; the median of the differences of the
pairs is robust against a busy machine. A planted delay shows that the method finds one.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest
import pytest_asyncio

from quorate.application.mail import sending
from quorate.domain.mail.addresses import parse_recipients
from tests.integration.api.asgi_client import json_request
from tests.integration.api.in_process import InProcess, run_in_process
from tests.integration.api.mail_service import Mailbox, create_mailboxes

SEED = 20261129
PAIRS = 80
WARM_UP_PAIRS = 5
PLANTED_SECONDS = 0.005
DIFFERENCE_SECONDS_MAX = 0.002
OTHER = "other.agents.localhost"
EXISTING = f"eve@{OTHER}"
UNKNOWN = (f"mia@{OTHER}", "eve@never.agents.localhost")
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ann(tmp_path_factory: pytest.TempPathFactory) -> Any:  # noqa: ANN401 - yields a Mailbox.
    """A sender; the other tenant has an agent eve."""
    folder: Path = tmp_path_factory.mktemp("tenants")
    async with run_in_process(folder) as running:
        await create_other_tenant(running)
        (ann,) = await create_mailboxes(running, "ann")
        yield ann


async def create_other_tenant(running: InProcess) -> None:
    key = running.credentials["adminKey"]
    for path, body in (
        ("/v1/tenants", {"tenantId": "other"}),
        ("/v1/keys", {"tenantId": "other", "role": "tenant"}),
        ("/v1/agent/register", {"agentName": "eve"}),
    ):
        response = await running.ask(json_request("POST", path, body, key=key))
        assert response.status == 200, response.body
        key = response.json.get("key", key)


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_answer_is_the_same_for_an_existing_and_an_unknown_agent(
    ann: Mailbox, unknown: str
) -> None:
    first, second = [
        {**await ann.send(address), "message_id": "", "thread_id": ""}
        for address in (EXISTING, unknown)
    ]

    assert first["recipients"][0].pop("address") == EXISTING
    assert second["recipients"][0].pop("address") == unknown
    assert first == second
    assert first["delivery_type"] == "external"


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_time_is_the_same_for_an_existing_and_an_unknown_agent(
    ann: Mailbox, unknown: str
) -> None:
    assert abs(median(await measure(ann, unknown))) < DIFFERENCE_SECONDS_MAX


async def test_planted_delay_is_found(ann: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    parse: Callable[..., Any] = parse_recipients

    def delayed(to: Sequence[str], *others: Any) -> Any:  # noqa: ANN401
        if EXISTING in to:
            time.sleep(PLANTED_SECONDS)
        return parse(to, *others)

    monkeypatch.setattr(sending, "parse_recipients", delayed)

    assert median(await measure(ann, UNKNOWN[0])) > DIFFERENCE_SECONDS_MAX


async def measure(ann: Mailbox, unknown: str) -> list[float]:
    """Return how many seconds longer the request to the existing agent took, for each pair."""
    random, differences = Random(SEED), list[float]()
    for _ in range(WARM_UP_PAIRS + PAIRS):
        seconds = {}
        for address in random.sample((EXISTING, unknown), 2):
            started = time.perf_counter()
            await ann.send(address)
            seconds[address] = time.perf_counter() - started
        differences.append(seconds[EXISTING] - seconds[unknown])
    return differences[WARM_UP_PAIRS:]
