"""The log line of a rejected request names the tenant and the agent, over HTTP and NATS."""

import pytest
from structlog.testing import capture_logs

from quorate.application import admission
from quorate.application.admission import RequestLogEntry
from quorate.application.request_metrics import RequestMetrics
from quorate.contracts.problems import Problem
from quorate.domain.identity.principals import Principal
from quorate.runtime.log_throttle import ThrottledWarning

ANN = Principal(key_id="k1", role="agent", tenant="acme", agent_id="agent_1", agent_name="ann")
OVER_NATS = {"operation": "heartbeat", "tenant": "acme", "agent": "agent_1"}
REJECTIONS = (
    Problem("agent_inactive", "No."),
    Problem("rate_limited", "No.", limitedBy="key", retryAfterSeconds=1.0),
)


@pytest.mark.parametrize("problem", REJECTIONS, ids=lambda problem: problem.code)
@pytest.mark.parametrize(
    ("location", "principal"),
    [({"path": "/v1/x"}, ANN), (OVER_NATS, ANN), (OVER_NATS, None)],
    ids=["http", "nats", "nats before the agent is known"],
)
def test_rejection_names_tenant_and_agent(
    problem: Problem,
    location: dict[str, str],
    principal: Principal | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admission, "_rate_limited", ThrottledWarning("rate_limited"))
    entry = RequestLogEntry("test", location, "r1", RequestMetrics().of("http", "heartbeat"))
    with capture_logs() as logs:
        entry.record_rejection(problem, principal)

    (line,) = logs
    assert (line["code"], line["tenant"], line["agent"]) == (problem.code, "acme", "agent_1")


def test_rejection_of_an_unauthenticated_caller_names_neither() -> None:
    entry = RequestLogEntry("test", {}, "r1", RequestMetrics().of("http", "heartbeat"))
    with capture_logs() as logs:
        entry.record_rejection(Problem("unauthorized", "No."), None)

    assert (logs[0]["tenant"], logs[0]["agent"], logs[0]["key_id"]) == (None, None, None)
