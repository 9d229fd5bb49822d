"""Find the service to call and the key to use.

* Precedence: command line, environment, current context, credentials.json in the data directory of
  a local service. Within one source: --url and --api-key, then --context, then --data-dir.
* A later source supplies the values that the earlier ones lack. A stored key is sent only to the
  URL that it was stored with; another URL needs another key.
* The agent of a context applies only if the context also supplies the key.
* Operator commands use the admin key: --api-key on the command line, else QUORATE_ADMIN_KEY, else
  the admin key in credentials.json, else the key that other commands use.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quorate.cli.connection.profiles import Context, contexts
from quorate.cli.output.errors import UNAUTHORIZED, USAGE, Failure
from quorate.domain.identity.agents import AgentRef
from quorate.domain.shared.records import record
from quorate.runtime.url_redaction import redact_url

CREDENTIALS = "credentials.json"
AGENT_ID = re.compile(r"agent_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@record
class TargetOptions:
    """The values of one source: the command line or the environment."""

    url: str | None = None
    api_key: str | None = None
    context: str | None = None
    data_dir: Path | None = None
    agent: str | None = None
    admin_key: str | None = None


@record
class TargetSources:
    """All values that were given; ``resolve_target`` reads contexts and credentials."""

    command_line: TargetOptions
    environment: TargetOptions
    default_data_dir: Path | None  # None for a user without a home directory.
    as_json: bool = False


@record
class Service:
    """The service, the key and the agent; the ``_from`` fields name their sources."""

    url: str
    api_key: str
    nats_url: str | None = None
    agent: str | None = None
    url_from: str = ""
    key_from: str = ""
    agent_from: str = ""


@record
class _SourceValues:
    """The values of one source; a ``stored`` key is sent only to its own URL."""

    source: str
    url: str | None = None
    api_key: str | None = None
    nats_url: str | None = None
    agent: str | None = None
    admin_key: str | None = None
    stored: bool = True


def resolve_target(
    sources: TargetSources, *, as_operator: bool = False, needs_key: bool = True
) -> Service:
    """Find the service, the key and the agent; raises Failure that says what to set.

    A public operation needs no key: the key may be empty then.
    """
    candidates = list(_read_sources(sources))
    url_source = next((candidate for candidate in candidates if candidate.url), None)
    if url_source is None or url_source.url is None:
        raise Failure(
            _describe_missing_service(sources),
            USAGE,
            "start one with `quorate serve`, or set --url or QUORATE_URL",
        )
    url = url_source.url
    if not needs_key:
        return Service(url=url, api_key="", url_from=url_source.source)
    key_source = (
        _find_admin_key_source(url, candidates)
        if as_operator
        else _find_key_source(url, candidates)
    )
    there = [candidate for candidate in candidates if _same_url(candidate.url, url)]
    agent = _agent(candidates, url_source, key_source)
    return Service(
        url=url,
        api_key=_get_key(key_source, as_operator=as_operator),
        nats_url=next((candidate.nats_url for candidate in there if candidate.nats_url), None),
        agent=agent.agent if agent else None,
        url_from=url_source.source,
        key_from=key_source.source,
        agent_from=agent.source if agent else "",
    )


def resolve_agent(service: Service, agent_id: str | None, agent_name: str | None) -> AgentRef:
    """Return the named agent, else the configured one, else an empty reference.

    With an empty reference the service uses the agent that the key belongs to.
    """
    if agent_id is not None or agent_name is not None:
        return AgentRef(id=agent_id, name=agent_name)
    return agent_ref(service.agent)


def agent_ref(text: str | None) -> AgentRef:
    """Parse an agent name or id; None gives an empty reference."""
    if text is None:
        return AgentRef()
    return AgentRef(id=text) if AGENT_ID.fullmatch(text) else AgentRef(name=text)


# -- Sources ---------------------------------------------------------------------


def _read_sources(sources: TargetSources) -> Iterator[_SourceValues]:
    """Read the sources in the order of their precedence."""
    chosen = False
    given = ((sources.command_line, "command line"), (sources.environment, "environment"))
    for options, source in given:
        yield _SourceValues(
            source=source,
            url=options.url,
            api_key=options.api_key,
            agent=options.agent,
            admin_key=options.admin_key,
            stored=False,
        )
        if options.context is not None:
            yield _from_context(options.context, contexts().get(options.context))
        elif options.data_dir is not None:
            yield _from_data_dir(options.data_dir)
        chosen = chosen or options.context is not None or options.data_dir is not None
    if not chosen:
        yield from _read_defaults(sources)


def _read_defaults(sources: TargetSources) -> Iterator[_SourceValues]:
    """Read the current context and the default data directory.

    An unreadable file raises Failure only if a URL or a key is still missing.
    """
    given = (sources.command_line, sources.environment)
    try:
        known = contexts()
        if known.current is not None:
            yield _from_context(known.current, known.get(known.current))
        if sources.default_data_dir is not None:
            yield _from_data_dir(sources.default_data_dir)
    except Failure:
        if not (any(one.url for one in given) and any(one.api_key for one in given)):
            raise


def _describe_missing_service(sources: TargetSources) -> str:
    """Describe where a service was looked for last."""
    given = (sources.command_line.data_dir, sources.environment.data_dir, sources.default_data_dir)
    data_dir = next((one for one in given if one is not None), None)
    if data_dir is None:
        return "No service configured, and the user has no home directory"
    return f"No service configured, and no credentials found at {data_dir / CREDENTIALS}"


def _from_context(name: str, context: Context) -> _SourceValues:
    source = f"context {name}"
    if context.data_dir is None:
        return _SourceValues(
            source=source,
            url=context.url,
            api_key=context.api_key,
            nats_url=context.nats_url,
            agent=context.agent,
        )
    local = _from_data_dir(Path(context.data_dir))
    return _SourceValues(
        source=f"{source}, {local.source}",
        url=local.url,
        api_key=context.api_key or local.api_key,
        nats_url=local.nats_url,
        agent=context.agent,
        admin_key=local.admin_key,
    )


def _from_data_dir(data_dir: Path) -> _SourceValues:
    path = expand_user(data_dir) / CREDENTIALS
    known = _read_credentials(path)
    return _SourceValues(
        source=str(path),
        url=known.get("url"),
        api_key=known.get("apiKey"),
        nats_url=known.get("natsUrl"),
        admin_key=known.get("adminKey"),
    )


def _read_credentials(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text("utf-8"))
    except OSError:
        return {}
    except ValueError as error:
        raise Failure(f"{path} is not a valid credentials file: remove it") from error
    return known if isinstance(known, dict) else {}


def expand_user(path: Path) -> Path:
    """Expand ``~`` if the user has a home directory."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


# -- Selection -------------------------------------------------------------------


def _may_receive_key(url: str, candidate: _SourceValues) -> bool:
    return not candidate.stored or _same_url(candidate.url, url)


def _same_url(one: str | None, other: str) -> bool:
    return one is not None and one.rstrip("/") == other.rstrip("/")


def _agent(
    candidates: Sequence[_SourceValues], url_source: _SourceValues, key_source: _SourceValues
) -> _SourceValues | None:
    for candidate in candidates:
        supplies_key = not candidate.stored or candidate is key_source
        needs_key = candidate is url_source and candidate.api_key is None
        if candidate.agent and (supplies_key or needs_key):
            return candidate
    return None


def _find_key_source(url: str, candidates: Sequence[_SourceValues]) -> _SourceValues:
    found = next(
        (
            candidate
            for candidate in candidates
            if candidate.api_key and _may_receive_key(url, candidate)
        ),
        None,
    )
    if found is None:
        raise Failure(
            _describe_missing_key(candidates),
            UNAUTHORIZED,
            f"set --api-key or QUORATE_API_KEY for {redact_url(url)}",
        )
    return found


def _find_admin_key_source(url: str, candidates: Sequence[_SourceValues]) -> _SourceValues:
    """Find the source of the admin key.

    A key on the command line has precedence; without an admin key, any key is used.
    """
    typed = candidates[0].api_key is not None
    known = (
        candidate
        for candidate in candidates
        if candidate.admin_key and _may_receive_key(url, candidate)
    )
    return (None if typed else next(known, None)) or _find_key_source(url, candidates)


def _get_key(candidate: _SourceValues, *, as_operator: bool) -> str:
    key = (as_operator and candidate.admin_key) or candidate.api_key
    assert key is not None
    return key


def _describe_missing_key(candidates: Sequence[_SourceValues]) -> str:
    """Describe the missing key, and name a stored key that belongs to another URL."""
    elsewhere = next((candidate for candidate in candidates if candidate.api_key), None)
    if elsewhere is None:
        return "No API key configured"
    return f"The key of {elsewhere.source} belongs to {redact_url(elsewhere.url or '')}"
