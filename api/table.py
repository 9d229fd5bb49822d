"""All endpoints there are. What is not in this table cannot be reached."""

from collections.abc import Iterator, Mapping, Sequence
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
    notices,
    sends,
    tenants,
)
from quorate.api.asgi import Receive, Scope, Send
from quorate.api.endpoint import Endpoint, Gate, path_parameters, refuse
from quorate.api.limits import caller_of, kept_by
from quorate.api.problems import Problem
from quorate.api.service import Service
from quorate.api.tallies import Tally
from quorate.domain.keys import Principal

# In the order in which somebody new would meet them.
ENDPOINTS: tuple[Endpoint, ...] = (
    *agents.ENDPOINTS,
    *leases.ENDPOINTS,
    *sends.ENDPOINTS,
    *consensus.ENDPOINTS,
    *config.ENDPOINTS,
    *notices.ENDPOINTS,
    *events.ENDPOINTS,
    *keys.ENDPOINTS,
    *tenants.ENDPOINTS,
    *health.ENDPOINTS,
    *documents.ENDPOINTS,
)


class Application:
    """The ASGI application that serves the table.

    An address without parameters needs no search: that is where most requests go. It is also
    itself before it is anything with a parameter: nothing but its own methods is tried there.
    """

    def __init__(self, service: Service, endpoints: Sequence[Endpoint] = ENDPOINTS) -> None:
        allowed = _allowed(endpoints)
        self._elsewhere = service.tallies.of("http")
        gates = [_gate(service, one) for one in endpoints]
        fixed = [gate for gate in gates if not path_parameters(gate.endpoint)]
        self._fixed = {
            (method, gate.endpoint.path): gate for gate in fixed for method in _methods(gate)
        }
        self._allowed = {gate.endpoint.path: allowed[gate.endpoint.path] for gate in fixed}
        self._router = Router(
            routes=[
                _Route(gate, allowed[gate.endpoint.path], self._elsewhere)
                for gate in gates
                if gate not in fixed
            ],
            redirect_slashes=False,
            default=self._nothing_here,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        gate = self._fixed.get((scope["method"], path))
        if gate is not None:
            await gate(scope, receive, send)
        elif path in self._allowed:
            await refuse(scope, send, _not_allowed(self._allowed[path]), self._elsewhere)
        else:
            await self._router(scope, receive, send)

    async def _nothing_here(self, scope: Scope, _receive: Receive, send: Send) -> None:
        problem = Problem("not_found", "There is nothing at this address.")
        await refuse(scope, send, problem, self._elsewhere)


def _gate(service: Service, endpoint: Endpoint) -> Gate:
    check, kept_share = service.limits.check, kept_by(endpoint)

    def limit(principal: Principal) -> None:
        check(principal.tenant, caller_of(principal), kept_share)

    handler = partial(endpoint.handler, service)
    return Gate(
        endpoint,
        handler,
        service.strangers.over_http,
        limit,
        tally=service.tallies.of("http", endpoint.name, timed=not endpoint.streams),
        # What watches over the process asks every few seconds, and a stream lasts for hours.
        tracing=service.tracing if endpoint.roles and not endpoint.streams else None,
    )


class _Route(Route):
    """A row of the table with parameters; other methods than those of the table are 405."""

    def __init__(self, gate: Gate, allowed: str, elsewhere: Tally) -> None:
        super().__init__(gate.endpoint.path, gate, methods=[gate.endpoint.method])
        self._allowed = allowed
        self._elsewhere = elsewhere

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods is not None and scope["method"] not in self.methods:
            await refuse(scope, send, _not_allowed(self._allowed), self._elsewhere)
        else:
            await self.app(scope, receive, send)


def _methods(gate: Gate) -> Iterator[str]:
    yield gate.endpoint.method
    if gate.endpoint.method == "GET":
        yield "HEAD"


def _not_allowed(allowed: str) -> Problem:
    return Problem("method_not_allowed", f"Use {allowed}.", headers={"Allow": allowed})


def _allowed(endpoints: Sequence[Endpoint]) -> Mapping[str, str]:
    methods: dict[str, set[str]] = {}
    for endpoint in endpoints:
        also = {"HEAD"} if endpoint.method == "GET" else set()
        methods.setdefault(endpoint.path, set()).update({endpoint.method} | also)
    return {path: ", ".join(sorted(verbs)) for path, verbs in methods.items()}
