"""Is it alive, is it ready, and how is it doing: for whatever watches over the process. No tenant
is named here.
"""

from quorate.application.execution import Service
from quorate.application.operations import Call, Endpoint, Reply
from quorate.contracts.responses import LiveAnswer, ReadyAnswer, dump

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"  # Prometheus' text format.
UNAVAILABLE_STATUS = 503


async def live(_service: Service, _call: Call) -> Reply:
    return Reply(body=dump(LiveAnswer(status="ok")))


async def ready(service: Service, _call: Call) -> Reply:
    """Ready when commands can be taken; what they do not wait for is merely degraded."""
    state = await service.readiness.look()
    answer = ReadyAnswer(
        status=state.status,
        log=state.log,
        nats="connected" if state.connected else "disconnected",
    )
    if state.mirror is not None:
        answer["mirror"] = state.mirror
    if not state.hears:
        answer["commits"] = "unheard"
    if not state.writes:
        answer["writes"] = "failing"
    status = UNAVAILABLE_STATUS if state.status == "unavailable" else 200
    return Reply(body=dump(answer), status=status)


async def metrics(service: Service, _call: Call) -> Reply:
    return Reply(body=service.metrics.page(), media=METRICS_TYPE)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/livez",
        name="live",
        summary="The process answers",
        answer=LiveAnswer,
        handler=live,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        name="ready",
        summary="Commands are taken (ready), and all else works as well (or else degraded)",
        answer=ReadyAnswer,
        problems=("unavailable",),
        handler=ready,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        name="metrics",
        summary="Numbers about this process, for Prometheus",
        media="text/plain",
        handler=metrics,
    ),
)
