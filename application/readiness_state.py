"""Readiness of one process; the checks are in server/readiness.py."""

from typing import Literal, Protocol

from quorate.domain.shared.records import record


@record
class ReadinessState:
    log: Literal["ok", "damaged", "unavailable"]
    nats_connected: bool
    mirror: Literal["stopped", "unavailable"] | None
    receives_commits: bool
    writes: bool = True
    clock: Literal["ahead", "behind"] | None = None

    @property
    def status(self) -> Literal["ready", "degraded", "unavailable"]:
        if self.log != "ok":
            return "unavailable"
        is_connected = self.nats_connected and self.mirror is None and self.receives_commits
        is_complete = is_connected and self.writes and self.clock is None
        return "ready" if is_complete else "degraded"


class ReadinessProbe(Protocol):
    async def check(self) -> ReadinessState: ...
