"""Contexts: named connection profiles in a file of the user.

Guarantees:

* The file holds keys, so its mode is 0600 from its creation on.
* Each change replaces the whole file atomically. A file lock serializes concurrent commands.
* A file that is a symbolic link stays one: its target is replaced.
* The command stores no other state between calls.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

from quorate.cli.output.errors import CONFLICT, NOT_FOUND, USAGE, Failure
from quorate.domain.shared.records import record

FILE = "contexts.json"
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
CONTEXTS_MAX = 1_000
CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WIRE = {"api_key": "apiKey", "nats_url": "natsUrl", "data_dir": "dataDir"}


@record
class Context:
    """A service by its URL and key, or a local service by its data directory.

    The credentials in the data directory are read at each call, because the ports can change when
    the service restarts.
    """

    url: str | None = None
    api_key: str | None = None
    nats_url: str | None = None
    data_dir: str | None = None
    agent: str | None = None  # A name or an id, for keys that may act for several agents.

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Self:
        """Parse a context and ignore unknown fields; raises ValueError."""
        values = {one.name: found.get(_WIRE.get(one.name, one.name)) for one in fields(cls)}
        if not all(value is None or isinstance(value, str) for value in values.values()):
            raise ValueError("A context field must be a string")
        return cls(**values)

    @property
    def wire(self) -> dict[str, str]:
        values = {_WIRE.get(one.name, one.name): getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@record
class Contexts:
    """All contexts by name, and the name of the current one."""

    known: Mapping[str, Context]
    current: str | None = None

    def get(self, name: str) -> Context:
        if name not in self.known:
            existing = ", ".join(sorted(self.known)) or "none"
            raise Failure(f"Context {name} not found; existing contexts: {existing}", NOT_FOUND)
        return self.known[name]

    def with_context(self, name: str, context: Context, *, replacing: bool = False) -> "Contexts":
        if require_valid_name(name) in self.known and not replacing:
            raise Failure(
                f"Context {name} already exists: remove it, or choose another name", CONFLICT
            )
        return Contexts(known={**self.known, name: context}, current=self.current)

    def without(self, name: str) -> "Contexts":
        self.get(name)
        left = {one: context for one, context in self.known.items() if one != name}
        return Contexts(known=left, current=None if self.current == name else self.current)

    def using(self, name: str | None) -> "Contexts":
        if name is not None:
            self.get(name)
        return Contexts(known=self.known, current=name)


def require_valid_name(name: str) -> str:
    """Return the name; raises Failure if it is invalid."""
    if not CONTEXT_NAME.fullmatch(name):
        raise Failure(
            f"Invalid context name {name!r}: use letters, digits, '.', '_' and '-' (at most 64)",
            USAGE,
        )
    return name


class NoHomeDirectory(Failure):
    """The user has no home directory, so there is no place for the file."""

    def __init__(self) -> None:
        super().__init__(
            "Cannot store contexts: the user has no home directory",
            hint="set XDG_CONFIG_HOME to a directory",
        )


def contexts_path() -> Path:
    """Return the path of the file; raises NoHomeDirectory."""
    import platformdirs

    try:
        directory = Path(platformdirs.user_config_dir("quorate"))
    except RuntimeError as error:
        raise NoHomeDirectory from error
    if not directory.is_absolute():  # platformdirs before 4.4 returns "~/.config".
        raise NoHomeDirectory
    return directory / FILE


def contexts() -> Contexts:
    """Read all contexts; raises Failure when the file is not readable."""
    try:
        path = contexts_path()
    except NoHomeDirectory:
        return Contexts(known={})
    try:
        found = json.loads(path.read_text("utf-8"))
        known = {str(name): Context.read(one) for name, one in found["contexts"].items()}
        current = found.get("current")
    except (FileNotFoundError, NotADirectoryError):
        return Contexts(known={})
    except OSError as error:
        raise Failure(f"Cannot read {path}: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Failure(f"{path} is not a valid context file: repair or remove it") from error
    return Contexts(known=known, current=current if current in known else None)


def update_contexts(change: Callable[[Contexts], Contexts]) -> Contexts:
    """Replace the stored contexts with the result of ``change``."""
    linked = contexts_path()
    try:
        path = linked.resolve()  # A link to the file stays a link.
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links.
        raise Failure(f"Cannot write {linked}: {error}") from error
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        with _exclusive_lock(path.with_suffix(".lock")):
            changed = change(contexts())
            if len(changed.known) > CONTEXTS_MAX:
                raise Failure(f"Cannot store more than {CONTEXTS_MAX} contexts")
            _write(path, changed)
    except OSError as error:
        raise Failure(f"Cannot write {path}: {error.strerror}") from error
    return changed


def _write(path: Path, changed: Contexts) -> None:
    known = {name: changed.known[name].wire for name in sorted(changed.known)}
    text = json.dumps({"current": changed.current, "contexts": known}, indent=2) + "\n"
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        partial.chmod(FILE_MODE)  # Before the first write: the file may exist with another mode.
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _exclusive_lock(lock: Path) -> Iterator[None]:
    """Exclude other commands from a change; without effect on systems that have no fcntl."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # Closing the descriptor releases the lock.
        yield
    finally:
        os.close(descriptor)
