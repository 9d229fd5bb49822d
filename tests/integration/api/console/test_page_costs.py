"""A page costs the same for a tenant with many rows: it calls as many operations, for 50 rows."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from quorate.api.console.caller import Caller
from quorate.api.console.views.registry import VIEWS
from quorate.api.console.views.view import PAGE_LENGTH
from tests.integration.api.console.test_console import log_in, page
from tests.integration.api.in_process import InProcess, run_in_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = PAGE_LENGTH + 10
# One session is named in the query.
LISTS = [view for view in VIEWS if "{" not in view.path and view.name != "session"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InProcess]:
    async with run_in_process(tmp_path_factory.mktemp("costs") / "data") as service:
        yield service


async def fill(service: InProcess, tenant: str, rows: int) -> str:
    """Create a tenant with agents, leases, votes, mail and keys; return its key."""
    admin = service.credentials["adminKey"]
    await service.call("POST", "/v1/tenants", {"tenantId": tenant}, key=admin)
    body: dict[str, object] = {"role": "tenant", "tenantId": tenant}
    key = str((await service.call("POST", "/v1/keys", body, key=admin)).json["key"])
    for number in range(rows):
        name, contact = f"agent-{number}", f"{number}@example.com"
        named = {"agentName": name, "contactEmail": contact}
        vote = {"proposerAgent": name, "action": "a", "reason": "b", "contactEmail": contact}
        for path, sent in (
            ("/v1/agent/register", {"agentName": name}),
            ("/v1/agent/coordination/lease", named),
            ("/v1/agent/coordination/consensus", vote),
            ("/email/send", {"agent_name": name, "to": [contact], "subject": "Hello"}),
            ("/v1/keys", {"role": "agent", "agentName": name}),
        ):
            response = await service.call("POST", path, sent, key=key)
            assert response.status == 200, (path, response.json)
    return key


async def test_page_calls_as_many_operations_for_many_rows(
    service: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    call = Caller.call

    async def counted(self: Caller, operation: object, *rest: object, **more: object) -> object:
        calls.append(operation.name)  # type: ignore[attr-defined]
        return await call(self, operation, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Caller, "call", counted)
    found: dict[str, dict[str, list[str]]] = {}
    for tenant, rows in (("small", 1), ("big", ROWS)):
        cookie = await log_in(service, await fill(service, tenant, rows))
        found[tenant] = {}
        for view in LISTS:
            for _ in range(2):  # The first one finds the issuers of keys.
                calls.clear()
                response = await page(service, view.path, cookie)
            assert response.status == 200, view.name
            assert response.body.count(b"<tr id=") <= 2 * PAGE_LENGTH, view.name
            found[tenant][view.name] = [*calls]

    assert found["big"] == found["small"]
