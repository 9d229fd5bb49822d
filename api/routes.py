"""All endpoints there are. What is not in this table cannot be reached."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

from quorate.api import documents, event_log, health, notifications
from quorate.api.gate import Gate, refuse
from quorate.application.coordination import consensus, leases, send_gate
from quorate.application.execution import Service
from quorate.application.identity import agent_settings, agents, api_keys, tenants
from quorate.application.operations import Endpoint
from quorate.application.rate_limiter import caller_of, kept_by
from quorate.contracts.problems import Problem
from quorate.domain.identity.api_keys import Principal
from quorate.runtime.asgi import Receive, Scope, Send

_PARAMETER = re.compile(r"{(\w+)}")
Methods: TypeAlias = Mapping[str, Gate]  # What an address takes, and who serves it.

# In the order in which somebody new would meet them.
ENDPOINTS: tuple[Endpoint, ...] = (
    *agents.ENDPOINTS,
    *leases.ENDPOINTS,
    *send_gate.ENDPOINTS,
    *consensus.ENDPOINTS,
    *agent_settings.ENDPOINTS,
    *notifications.ENDPOINTS,
    *event_log.ENDPOINTS,
    *api_keys.ENDPOINTS,
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
        self._elsewhere = service.tallies.of("http")
        self._fixed: dict[str, Methods] = {}
        self._patterns: dict[re.Pattern[str], Methods] = {}
        for path, methods in _gates(service, endpoints).items():
            if _PARAMETER.search(path):
                self._patterns[_pattern(path)] = methods
            else:
                self._fixed[path] = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self._fixed.get(scope["path"]) or self._search(scope)
        if methods is None:
            problem = Problem("not_found", "There is nothing at this address.")
            await refuse(scope, send, problem, self._elsewhere)
        elif (gate := methods.get(scope["method"])) is None:
            await refuse(scope, send, _not_allowed(methods), self._elsewhere)
        else:
            await gate(scope, receive, send)

    def _search(self, scope: Scope) -> Methods | None:
        """What an address with parameters takes; their values are left in the scope."""
        for pattern, methods in self._patterns.items():
            if (match := pattern.fullmatch(scope["path"])) is not None:
                scope["path_params"] = match.groupdict()
                return methods
        return None


def _gates(service: Service, endpoints: Sequence[Endpoint]) -> Mapping[str, Methods]:
    """All there is at each address. Whoever may GET may also ask for the HEAD alone."""
    gates: defaultdict[str, dict[str, Gate]] = defaultdict(dict)
    for endpoint in endpoints:
        gate = _gate(service, endpoint)
        gates[endpoint.path][endpoint.method] = gate
        if endpoint.method == "GET":
            gates[endpoint.path]["HEAD"] = gate
    return gates


def _pattern(path: str) -> re.Pattern[str]:
    """A parameter is whatever stands between two slashes."""
    return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", path))


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


def _not_allowed(methods: Methods) -> Problem:
    allowed = ", ".join(sorted(methods))
    return Problem("method_not_allowed", f"Use {allowed}.", headers={"Allow": allowed})
