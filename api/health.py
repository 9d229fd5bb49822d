"""Health checks and metrics of this process.

These endpoints are public and name no tenant.
"""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.responses import LiveResponse, ReadyResponse, dump

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format.
UNAVAILABLE_STATUS = 503


def live_reply() -> Reply:
    return Reply(body=dump(LiveResponse(status="ok")))


async def live(_service: Service, _call: Call) -> Reply:
    return live_reply()


async def ready(service: Service, _call: Call) -> Reply:
    """Report readiness; return 503 only if the service cannot accept commands."""
    state = await service.readiness.check()
    response = ReadyResponse(
        status=state.status,
        log=state.log,
        nats="connected" if state.nats_connected else "disconnected",
    )
    if state.mirror is not None:
        response["mirror"] = state.mirror
    if not state.receives_commits:
        response["commits"] = "stale"
    if not state.writes:
        response["writes"] = "failing"
    status = UNAVAILABLE_STATUS if state.status == "unavailable" else 200
    return Reply(body=dump(response), status=status)


async def metrics(service: Service, _call: Call) -> Reply:
    return Reply(body=service.metrics.page(), media=METRICS_TYPE)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/livez",
        name="live",
        summary="Check that the process is alive",
        response=LiveResponse,
        handler=live,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        name="ready",
        summary="Check that the service is ready",
        description="`degraded`: the service accepts commands, but another part fails.",
        response=ReadyResponse,
        problems=("unavailable",),
        handler=ready,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Get metrics in the Prometheus text format",
        media="text/plain",
        handler=metrics,
    ),
)
