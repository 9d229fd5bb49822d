"""Health checks and metrics of this process. They are public and name no tenant."""

from typing import Literal

from quorate.contracts.operations import Operation
from quorate.contracts.problems import ServiceUnavailable
from quorate.contracts.wire_models import ResponseModel, optional


class LiveInfo(ResponseModel):
    status: Literal["ok"]


class ReadyInfo(ResponseModel):
    """``degraded``: the service accepts commands, but another part does not work.

    ``nats``: notifications wait until NATS is connected again. ``mirror``: the JetStream mirror is
    stopped or unavailable. ``commits``: this replica does not receive commit notifications from
    other replicas. ``writes``: the last write failed, and the service retries. ``clock``: the clock
    was set, and the time of the log differs from it. ``mirror``, ``commits``, ``writes`` and
    ``clock`` are present only in these cases. ``version``: that of the service, unless it is older
    than this field.
    """

    status: Literal["ready", "degraded", "unavailable"]
    log: Literal["ok", "damaged", "unavailable"]
    nats: Literal["connected", "disconnected"]
    version: str | None = optional()
    mirror: Literal["stopped", "unavailable"] | None = optional()
    commits: Literal["stale"] | None = optional()
    writes: Literal["failing"] | None = optional()
    clock: Literal["ahead", "behind"] | None = optional()


LIVE = Operation(
    method="GET",
    path="/livez",
    name="live",
    summary="Check that the process is alive",
    response=LiveInfo,
)
READY = Operation(
    method="GET",
    path="/readyz",
    name="ready",
    summary="Check that the service is ready",
    description="`degraded`: the service accepts commands, but another part fails.",
    response=ReadyInfo,
    errors=(ServiceUnavailable,),
)
METRICS: Operation[None] = Operation(
    method="GET",
    path="/metrics",
    name="metrics",
    summary="Get metrics in the Prometheus text format",
    media="text/plain",
)
OPERATIONS = (LIVE, READY, METRICS)
