"""All endpoints there are. What is not in this table cannot be reached."""

from collections.abc import Mapping, Sequence
from functools import partial

from starlette.routing import Route, Router

from quorate.api import (
    agents,
    config,
    consensus,
    documents,
    events,
    health,
    keys,
    leases,
    sends,
    tenants,
)
from quorate.api.asgi import Receive, Scope, Send
from quorate.api.endpoint import Endpoint, Gate, refuse
from quorate.api.problems import Problem
from quorate.api.service import Service

# In the order in which somebody new would meet them.
ENDPOINTS: tuple[Endpoint, ...] = (
    *agents.ENDPOINTS,
    *leases.ENDPOINTS,
    *sends.ENDPOINTS,
    *consensus.ENDPOINTS,
    *config.ENDPOINTS,
    *events.ENDPOINTS,
    *keys.ENDPOINTS,
    *tenants.ENDPOINTS,
    *health.ENDPOINTS,
    *documents.ENDPOINTS,
)


class Application:
    """The ASGI application that serves the table.

    An address without parameters needs no search: that is where most requests go.
    """

    def __init__(self, service: Service, endpoints: Sequence[Endpoint] = ENDPOINTS) -> None:
        allowed = _allowed(endpoints)
        gates = [
            Gate(one, partial(one.handler, service), service.keyring.authenticate)
            for one in endpoints
        ]
        self._fixed = {(gate.endpoint.method, gate.endpoint.path): gate for gate in gates}
        self._router = Router(
            routes=[_Route(gate, allowed[gate.endpoint.path]) for gate in gates],
            redirect_slashes=False,
            default=_nothing_here,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gate = self._fixed.get((scope["method"], scope["path"]))
        await (gate or self._router)(scope, receive, send)


class _Route(Route):
    """A row of the table; other methods than those of the table are 405."""

    def __init__(self, gate: Gate, allowed: str) -> None:
        super().__init__(gate.endpoint.path, gate, methods=[gate.endpoint.method])
        self._allowed = allowed

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods is not None and scope["method"] not in self.methods:
            problem = Problem(
                "method_not_allowed", f"Use {self._allowed}.", headers={"Allow": self._allowed}
            )
            await refuse(scope, send, problem)
        else:
            await self.app(scope, receive, send)


async def _nothing_here(scope: Scope, _receive: Receive, send: Send) -> None:
    await refuse(scope, send, Problem("not_found", "There is nothing at this address."))


def _allowed(endpoints: Sequence[Endpoint]) -> Mapping[str, str]:
    methods: dict[str, set[str]] = {}
    for endpoint in endpoints:
        also = {"HEAD"} if endpoint.method == "GET" else set()
        methods.setdefault(endpoint.path, set()).update({endpoint.method} | also)
    return {path: ", ".join(sorted(verbs)) for path, verbs in methods.items()}
