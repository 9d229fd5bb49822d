"""`quorate status` and `quorate version`: an overview of the service and of the tenant."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from quorate import __version__
from quorate.cli.connection.api import ApiClient, open_api
from quorate.cli.connection.resolve import Service, TargetSources, resolve_target
from quorate.cli.options import json_option, service_options
from quorate.cli.output.console import print_details, print_json
from quorate.cli.output.errors import EXIT_CODES, Failure
from quorate.runtime.url_redaction import redact_url

VERSION_TIMEOUT_SECONDS = 3.0


@click.command(
    epilog="""
\b
Examples:
  quorate status
  quorate status -o json

`quorate doctor` looks for the cause of a problem.
"""
    + EXIT_CODES
)
@service_options
@json_option
def status(sources: TargetSources, as_json: bool) -> None:
    """Show the state of the service, and what the tenant has: agents, leases, proposals."""
    service = resolve_target(sources)
    with open_api(sources, service) as api:
        found = _read_status(api)
    if as_json:
        print_json(found)
        return
    names = {
        "version": "version",
        "log": "event log",
        "nats": "NATS",
        "mirror": "JetStream mirror",
        "commits": "commit notifications",
        "writes": "writes",
        "tenantId": "tenant",
        "pausedAt": "paused since",
        "role": "role of the key",
        "agentName": "agent of the key",
        "activeAgents": "active agents",
        "agents": "registered agents",
        "leases": "active leases",
        "pendingProposals": "pending proposals",
        "events": "events",
    }
    details = {
        text: str(found[name]) for name, text in names.items() if found.get(name) is not None
    }
    print_details(f"The service at {found['url']} is {found['status']}.", details)


def _read_status(api: ApiClient) -> dict[str, Any]:
    from quorate.client import RoleForbiddenError, requests

    key = api.call(requests.get_own_key())
    found: dict[str, Any] = {
        "url": redact_url(api.service.url),
        **_ready(api.service),
        "tenantId": key.tenant_id,
        "role": key.role,
        "agentName": key.agent_name,
    }
    if key.role in {"admin", "mail"}:  # They read no tenant.
        return found
    agents = _page(api, requests.list_agents(limit=_page_length()))
    leases = _page(api, requests.list_leases(limit=_page_length()))
    pending = _page(api, requests.list_consensus(status="pending", limit=_page_length()))
    found |= {
        "agents": _count(agents),
        "activeAgents": sum(agent.status == "active" for agent in agents),
        "leases": _count(leases),
        "pendingProposals": _count(pending),
    }
    if key.role == "tenant" and key.tenant_id is not None:
        with suppress(RoleForbiddenError):  # Earlier versions of the service.
            found["pausedAt"] = api.call(requests.get_tenant(key.tenant_id)).raw.get("pausedAt")
    if key.role != "agent":
        found["events"] = api.call(requests.list_events(limit=1)).head
    return found


def _page_length() -> int:
    from quorate.contracts.wire_models import PAGE_LENGTH_MAX

    return PAGE_LENGTH_MAX


def _page(api: ApiClient, request: Any) -> list[Any]:  # noqa: ANN401 - a request for any list.
    found: list[Any] = api.call(request)
    return found


def _count(items: list[Any]) -> int | str:
    """Return the number of items on the first page; more items are not counted."""
    return f"{len(items)} or more" if len(items) == _page_length() else len(items)


def _ready(service: Service, timeout_seconds: float | None = None) -> Mapping[str, Any]:
    import orjson

    from quorate.cli.operations.transport import fetch
    from quorate.client.request_builder import request_for
    from quorate.contracts.health import READY

    found: Mapping[str, Any] = orjson.loads(
        fetch(service, request_for(READY), timeout_seconds=timeout_seconds)
    )
    return found


@click.command(
    epilog="""
\b
Examples:
  quorate version
  quorate version -o json
"""
    + EXIT_CODES
)
@service_options
@json_option
def version(sources: TargetSources, as_json: bool) -> None:
    """Print the version of this command and, if it responds, of the service.

    Without a service the exit code is 0 as well.
    """
    from quorate.client.errors import RequestFailedError

    url, found, reason = None, None, ""
    try:
        service = resolve_target(sources, needs_key=False)
        url = redact_url(service.url)
        found = _ready(service, VERSION_TIMEOUT_SECONDS).get("version")
    except Failure:
        reason = "not configured"
    except RequestFailedError:
        reason = f"{url} does not respond"
    if as_json:
        print_json({"client": __version__, "service": found, "url": url})
    else:
        known = f"{found} at {url}" if found else reason or "unknown"
        print_details(f"quorate {__version__}", {"service": known})
