"""Which service is called, and as whom.

* What is said on the command line beats the environment, that beats the context in use, and that
  the credentials which a local service left in its data folder. Where the same place says both,
  --url and --api-key beat --context, and that beats --data-dir.
* What one place leaves out, the next one adds. But a key that was stored is only ever sent to the
  address that it was stored with: another address needs a key of its own.
* An agent that a context remembers is meant only where that context also says who calls.
* Operators' verbs take the operator's key: a typed --api-key, else QUORATE_ADMIN_KEY, else the one
  that the local service wrote; where there is none of these, the key that all verbs take.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quorate.cli.connection.profiles import Context, contexts
from quorate.cli.output.errors import UNAUTHORIZED, Failure
from quorate.domain.identity.agents import AgentRef
from quorate.domain.shared.records import record

CREDENTIALS = "credentials.json"
AGENT_ID = re.compile(r"agent_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@record
class TargetOptions:
    """What one place (the command line, the environment) says about whom to call."""

    url: str | None = None
    api_key: str | None = None
    context: str | None = None
    data_dir: Path | None = None
    agent: str | None = None
    admin_key: str | None = None


@record
class TargetSources:
    """All that was said; which service that means is found when it is called."""

    command_line: TargetOptions
    environment: TargetOptions
    default_data_dir: Path
    as_json: bool = False


@record
class Service:
    """Where to call, and as whom; ``found`` say in which places that was written."""

    url: str
    api_key: str
    nats_url: str | None = None
    agent: str | None = None
    url_from: str = ""
    key_from: str = ""
    agent_from: str = ""


@record
class _Part:
    """What one source knows; a ``stored`` key stays with its own address."""

    source: str
    url: str | None = None
    api_key: str | None = None
    nats_url: str | None = None
    agent: str | None = None
    admin_key: str | None = None
    stored: bool = True


def called_service(where: TargetSources, *, as_operator: bool = False) -> Service:
    """The service that is meant; raises Failure, saying what to give."""
    parts = list(_parts(where))
    addressed = next((part for part in parts if part.url), None)
    if addressed is None or addressed.url is None:
        raise Failure(
            "No service is known: start one with `quorate serve`, or give --url "
            f"(or QUORATE_URL); there are no credentials at {_last(where) / CREDENTIALS}",
            UNAUTHORIZED,
        )
    url = addressed.url
    keyed = _operated(url, parts) if as_operator else _keyed(url, parts)
    there = [part for part in parts if _same(part.url, url)]
    agent = _agent(parts, addressed, keyed)
    return Service(
        url=url,
        api_key=_key_of(keyed, as_operator=as_operator),
        nats_url=next((part.nats_url for part in there if part.nats_url), None),
        agent=agent.agent if agent else None,
        url_from=addressed.source,
        key_from=keyed.source,
        agent_from=agent.source if agent else "",
    )


def who(service: Service, agent_id: str | None, agent_name: str | None) -> AgentRef:
    """The agent that was named, else the one remembered; neither, and the key must say it."""
    if agent_id is not None or agent_name is not None:
        return AgentRef(id=agent_id, name=agent_name)
    return ref(service.agent)


def ref(text: str | None) -> AgentRef:
    """A name or an id, whichever it looks like; nothing, and the key must say who is meant."""
    if text is None:
        return AgentRef()
    return AgentRef(id=text) if AGENT_ID.fullmatch(text) else AgentRef(name=text)


# -- Source by source ------------------------------------------------------------


def _parts(where: TargetSources) -> Iterator[_Part]:
    """Whatever knows anything, the first to be heard first."""
    chosen = False
    for said, source in ((where.command_line, "command line"), (where.environment, "environment")):
        yield _Part(
            source=source,
            url=said.url,
            api_key=said.api_key,
            agent=said.agent,
            admin_key=said.admin_key,
            stored=False,
        )
        if said.context is not None:
            yield _of_context(said.context, contexts().named(said.context))
        elif said.data_dir is not None:
            yield _of_folder(said.data_dir)
        chosen = chosen or said.context is not None or said.data_dir is not None
    if not chosen:
        yield from _remembered(where)


def _remembered(where: TargetSources) -> Iterator[_Part]:
    """What nobody chose for this call; it may be unreadable when nothing of it is needed."""
    said = (where.command_line, where.environment)
    try:
        known = contexts()
        if known.current is not None:
            yield _of_context(known.current, known.named(known.current))
        yield _of_folder(where.default_data_dir)
    except Failure:
        if not (any(one.url for one in said) and any(one.api_key for one in said)):
            raise


def _last(where: TargetSources) -> Path:
    """The data folder that is looked into when nothing else says more."""
    said = (where.command_line.data_dir, where.environment.data_dir)
    return next((one for one in said if one is not None), where.default_data_dir).expanduser()


def _of_context(name: str, context: Context) -> _Part:
    source = f"context {name}"
    if context.data_dir is None:
        return _Part(
            source=source,
            url=context.url,
            api_key=context.api_key,
            nats_url=context.nats_url,
            agent=context.agent,
        )
    there = _of_folder(Path(context.data_dir))
    return _Part(
        source=f"{source}, {there.source}",
        url=there.url,
        api_key=context.api_key or there.api_key,
        nats_url=there.nats_url,
        agent=context.agent,
        admin_key=there.admin_key,
    )


def _of_folder(data_dir: Path) -> _Part:
    path = data_dir.expanduser() / CREDENTIALS
    known = _credentials(path)
    return _Part(
        source=str(path),
        url=known.get("url"),
        api_key=known.get("apiKey"),
        nats_url=known.get("natsUrl"),
        admin_key=known.get("adminKey"),
    )


def _credentials(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text("utf-8"))
    except OSError:
        return {}
    except ValueError as error:
        raise Failure(f"{path} is not what `quorate serve` wrote: remove it") from error
    return known if isinstance(known, dict) else {}


# -- What goes together ----------------------------------------------------------


def _may_go_to(url: str, part: _Part) -> bool:
    return not part.stored or _same(part.url, url)


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.rstrip("/") == other.rstrip("/")


def _agent(parts: Sequence[_Part], addressed: _Part, keyed: _Part) -> _Part | None:
    for part in parts:
        says_who_calls = not part.stored or part is keyed
        needs_a_key = part is addressed and part.api_key is None
        if part.agent and (says_who_calls or needs_a_key):
            return part
    return None


def _keyed(url: str, parts: Sequence[_Part]) -> _Part:
    found = next((part for part in parts if part.api_key and _may_go_to(url, part)), None)
    if found is None:
        raise Failure(_no_key(url, parts), UNAUTHORIZED)
    return found


def _operated(url: str, parts: Sequence[_Part]) -> _Part:
    """An operator's key that was named as one, unless a key was typed; else any key will do."""
    typed = parts[0].api_key is not None
    known = (part for part in parts if part.admin_key and _may_go_to(url, part))
    return (None if typed else next(known, None)) or _keyed(url, parts)


def _key_of(part: _Part, *, as_operator: bool) -> str:
    key = (as_operator and part.admin_key) or part.api_key
    assert key is not None
    return key


def _no_key(url: str, parts: Sequence[_Part]) -> str:
    """A key that is held back is told, or nobody would understand why it is not used."""
    elsewhere = next((part for part in parts if part.api_key), None)
    give = f"give --api-key (or QUORATE_API_KEY) for {url}"
    if elsewhere is None:
        return f"No key is known: {give}"
    return f"The key of {elsewhere.source} belongs to {elsewhere.url}: {give}"
