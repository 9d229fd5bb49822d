"""Health checks and metrics of this process.

These endpoints are public and name no tenant.
"""

from quorate import __version__
from quorate.application.execution import Service
from quorate.application.operations import Call, Reply, handles
from quorate.application.rendering import dump
from quorate.contracts.health import LIVE, METRICS, READY

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format.
UNAVAILABLE_STATUS = 503


def live_reply() -> Reply:
    return Reply(body=dump({"status": "ok"}))


@handles(LIVE)
async def live(_service: Service, _call: Call) -> Reply:
    return live_reply()


@handles(READY)
async def ready(service: Service, _call: Call) -> Reply:
    """Report readiness; return 503 only if the service cannot accept commands."""
    state = await service.readiness.check()
    response = {
        "status": state.status,
        "log": state.log,
        "nats": "connected" if state.nats_connected else "disconnected",
        "version": __version__,
    }
    if state.mirror is not None:
        response["mirror"] = state.mirror
    if not state.receives_commits:
        response["commits"] = "stale"
    if not state.writes:
        response["writes"] = "failing"
    if state.clock is not None:
        response["clock"] = state.clock
    status = UNAVAILABLE_STATUS if state.status == "unavailable" else 200
    return Reply(body=dump(response), status=status)


@handles(METRICS)
async def metrics(service: Service, _call: Call) -> Reply:
    return Reply(body=service.metrics.page(), media=METRICS_TYPE)
