"""What a process reports about its own readiness; the checks are in server/readiness.py."""

from typing import Literal, Protocol

from quorate.domain.shared.records import record


@record
class State:
    log: Literal["ok", "damaged", "unavailable"]
    connected: bool
    mirror: Literal["stopped", "unavailable"] | None
    hears: bool
    writes: bool = True

    @property
    def status(self) -> Literal["ready", "degraded", "unavailable"]:
        if self.log != "ok":
            return "unavailable"
        well = self.connected and self.mirror is None and self.hears and self.writes
        return "ready" if well else "degraded"


class ReadinessProbe(Protocol):
    async def look(self) -> State: ...
