"""Is it alive, and is it ready: for whatever watches over the process. No tenant is named here."""

from quorate.api.answers import LiveAnswer, ReadyAnswer, dump
from quorate.api.endpoint import Call, Endpoint, Reply
from quorate.api.service import Service
from quorate.eventlog.session import Broken

UNAVAILABLE_STATUS = 503


async def live(_service: Service, _call: Call) -> Reply:
    return Reply(body=dump(LiveAnswer(status="ok")))


async def ready(service: Service, _call: Call) -> Reply:
    """Ready when commands can be taken; without NATS they can, and notices wait."""
    connected = service.nats_connected()
    answer = ReadyAnswer(
        status="ready" if connected else "degraded",
        log="ok",
        nats="connected" if connected else "disconnected",
    )
    if service.door.damage:
        answer["status"], answer["log"] = "unavailable", "damaged"
    elif not await _readable(service):
        answer["status"], answer["log"] = "unavailable", "unavailable"
    status = UNAVAILABLE_STATUS if answer["status"] == "unavailable" else 200
    return Reply(body=dump(answer), status=status)


async def _readable(service: Service) -> bool:
    try:
        await service.log.committed_head()
    except Broken:
        return False
    return True


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
        summary="Commands are taken (ready), and pushed (or else degraded)",
        answer=ReadyAnswer,
        problems=("unavailable",),
        handler=ready,
    ),
)
