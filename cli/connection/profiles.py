"""Named contexts: which service, and as whom, remembered between calls of the command.

* One file of the user's own, never readable by others, not even for a moment: it holds keys.
* It is replaced as a whole or not at all, and two commands that change it take turns.
* Nothing else is remembered: what no context says is told anew at each call.
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
FOLDER_MODE = 0o700
FILE_MODE = 0o600
CONTEXTS_MAX = 1_000
CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WIRE = {"api_key": "apiKey", "nats_url": "natsUrl", "data_dir": "dataDir"}


@record
class Context:
    """A service by its address and key, or a local one by its data folder.

    A data folder is read anew at each call: a service that starts again may be elsewhere.
    """

    url: str | None = None
    api_key: str | None = None
    nats_url: str | None = None
    data_dir: str | None = None
    agent: str | None = None  # A name or an id, for keys that may speak for several agents.

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Self:
        """Fields of a newer version are left out; raises ValueError for what is no context."""
        said = {one.name: found.get(_WIRE.get(one.name, one.name)) for one in fields(cls)}
        if not all(value is None or isinstance(value, str) for value in said.values()):
            raise ValueError("a context holds text")
        return cls(**said)

    @property
    def wire(self) -> dict[str, str]:
        said = {_WIRE.get(one.name, one.name): getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in said.items() if value is not None}


@record
class Contexts:
    """All that are known, by name, and the one that is in use."""

    known: Mapping[str, Context]
    current: str | None = None

    def named(self, name: str) -> Context:
        if name not in self.known:
            there = ", ".join(sorted(self.known)) or "none yet"
            raise Failure(f"There is no context {name}; there are: {there}", NOT_FOUND)
        return self.known[name]

    def with_one(self, name: str, context: Context, *, replacing: bool = False) -> "Contexts":
        if well_named(name) in self.known and not replacing:
            raise Failure(f"Context {name} exists: remove it, or choose another name", CONFLICT)
        return Contexts(known={**self.known, name: context}, current=self.current)

    def without(self, name: str) -> "Contexts":
        self.named(name)
        left = {one: context for one, context in self.known.items() if one != name}
        return Contexts(known=left, current=None if self.current == name else self.current)

    def using(self, name: str | None) -> "Contexts":
        if name is not None:
            self.named(name)
        return Contexts(known=self.known, current=name)


def well_named(name: str) -> str:
    """The name itself; raises Failure for one that could not be told apart or typed."""
    if not CONTEXT_NAME.fullmatch(name):
        raise Failure("A context's name has letters, digits, dots and dashes, up to 64", USAGE)
    return name


def contexts_path() -> Path:
    import platformdirs

    return Path(platformdirs.user_config_dir("quorate")) / FILE


def contexts() -> Contexts:
    """What is remembered; raises Failure when the file is not ours."""
    path = contexts_path()
    try:
        found = json.loads(path.read_text("utf-8"))
        known = {str(name): Context.read(one) for name, one in found["contexts"].items()}
        current = found.get("current")
    except (FileNotFoundError, NotADirectoryError):
        return Contexts(known={})
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Failure(f"{path} is not what `quorate context` wrote: mend or remove it") from error
    return Contexts(known=known, current=current if current in known else None)


def change(by: Callable[[Contexts], Contexts]) -> Contexts:
    """Replace what is remembered by what ``by`` makes of it."""
    path = contexts_path()
    try:
        path.parent.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        with _alone(path.with_suffix(".lock")):
            changed = by(contexts())
            if len(changed.known) > CONTEXTS_MAX:
                raise Failure(f"More than {CONTEXTS_MAX} contexts are not remembered")
            _write(path, changed)
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from error
    return changed


def _write(path: Path, changed: Contexts) -> None:
    known = {name: changed.known[name].wire for name in sorted(changed.known)}
    text = json.dumps({"current": changed.current, "contexts": known}, indent=2) + "\n"
    partial = path.with_suffix(".partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        partial.chmod(FILE_MODE)  # Before anything is in it, should it have been there already.
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """While it lasts, no other command changes the file (where the system has such locks)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # Let go of when the descriptor is closed.
        yield
    finally:
        os.close(descriptor)
