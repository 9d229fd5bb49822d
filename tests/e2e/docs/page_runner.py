"""A reader who does what a document says, block by block and to the letter, and looks at it.

* ``sh`` is typed. ``python`` is run, or saved where its first line is ``# name.py``: then a later
  block runs it by that name.
* ``console`` shows a session: what follows ``$`` is typed, and what stands below it appears, with
  ``...`` for whatever is different every time.
* ``json`` right after a block that was run is its answer: the last JSON that was shown has the same
  fields, with values of the same kinds.
"""

import json
import re
from typing import Any

from tests.e2e.docs.markdown import RUN, Document, Fence
from tests.e2e.docs.shell import STARTS, Failed, Machine
from tests.e2e.service.service_process import Json

ANSWER_LINES_MAX = 4  # Between a block and the answer that it got.
_SAVED_AS = re.compile(r"# ([\w-]+\.py)\n")
_PROMPT = "$ "
_ANYTHING = "..."


class Reader:
    """``shown`` is what each block made appear, by the line at which it stands."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.shown: dict[int, str] = {}
        self._last: Fence | None = None

    def follow(self, document: Document) -> None:
        for fence in document.fences:
            try:
                self._do(fence)
            except Failed as failure:
                raise Failed(f"{document.name}:{fence.line}: {failure}") from None

    def _do(self, fence: Fence) -> None:
        match fence.language:
            case "sh" if starts := started(fence.text):
                self.machine.serve(starts)
            case "sh":
                self.shown[fence.line] = self._serving().type(fence.text)
            case "python":
                self._run(fence)
            case "console":
                self._talk(fence)
            case "json":
                self._compare(fence)
        if fence.language in RUN:
            self._last = fence

    def _serving(self) -> Machine:
        if not self.machine.serves():
            self.machine.serve()
        return self.machine

    def _run(self, fence: Fence) -> None:
        if saved := _SAVED_AS.match(fence.text):
            self.machine.save(saved[1], fence.text)
            return
        name = f"line_{fence.line}.py"
        self.shown[fence.line] = self._serving().run(name, fence.text)

    def _talk(self, fence: Fence) -> None:
        for command, expected in exchanges(fence.text):
            shown = self._serving().type(command)
            if not looks_like(shown, expected):
                raise Failed(f"{command}should show:\n{expected}--- but showed:\n{shown}")

    def _compare(self, fence: Fence) -> None:
        claimed = json.loads(fence.text)
        last = self._last
        if last is None or last.line not in self.shown:
            return
        if fence.line - (last.line + last.text.count("\n")) > ANSWER_LINES_MAX:
            return
        found = every_json(self.shown[last.line])
        if not found:
            raise Failed(f"no JSON was shown before:\n{fence.text}\n{self.shown[last.line]}")
        if difference := unlike(claimed, found[-1]):
            raise Failed(f"{difference}\n--- in what was shown:\n{json.dumps(found[-1], indent=2)}")


def started(script: str) -> str | None:
    """The one command of a block that starts the service in a terminal of its own."""
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    if len(commands) == 1 and STARTS.fullmatch(commands[0]):
        return commands[0]
    return None


def saved_names(document: Document) -> list[tuple[Fence, str]]:
    """The programs that a document has its reader save."""
    programs = [fence for fence in document.fences if fence.language == "python"]
    return [(each, saved[1]) for each in programs if (saved := _SAVED_AS.match(each.text))]


# -- What was shown ----------------------------------------------------------


def exchanges(session: str) -> list[tuple[str, str]]:
    """Each command of a session (with the lines it goes on over), and what stands below it."""
    found: list[tuple[str, str]] = []
    for line in session.splitlines():
        if line.startswith(_PROMPT):
            found.append((line.removeprefix(_PROMPT) + "\n", ""))
            continue
        assert found, "a session begins with a prompt"
        command, below = found[-1]
        if command.endswith("\\\n"):
            found[-1] = (command + line.removeprefix("> ") + "\n", below)
        else:
            found[-1] = (command, below + line + "\n")
    return found


def looks_like(shown: str, expected: str) -> bool:
    """Line by line but for trailing blanks; ``...`` stands for anything, also for many lines."""
    pattern = ".*".join(re.escape(part) for part in _trimmed(expected).split(_ANYTHING))
    return re.fullmatch(pattern, _trimmed(shown), flags=re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def every_json(shown: str) -> list[Any]:
    """The objects and lists in what was shown, one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while (begins := re.compile(r"[{\[]").search(shown, at)) is not None:
        try:
            value, at = decoder.raw_decode(shown, begins.start())
        except ValueError:
            at = begins.end()
        else:
            found.append(value)
    return found


def unlike(claimed: Any, found: Any, where: str = "$") -> str | None:  # noqa: ANN401 - any JSON.
    """In what the two differ, other than in values of one kind."""
    match claimed, found:
        case dict(), dict():
            return _unlike_objects(claimed, found, where)
        case list(), list():
            if bool(claimed) != bool(found):
                return f"{where}: one list is empty, the other is not"
            pairs = zip(claimed, found, strict=False)
            each = (unlike(one, other, f"{where}[]") for one, other in pairs)
            return next((difference for difference in each if difference), None)
        case _ if _kind(claimed) != _kind(found):
            return f"{where}: {claimed!r} is claimed, {found!r} was shown"
        case _:
            return None


def _unlike_objects(claimed: Json, found: Json, where: str) -> str | None:
    if claimed.keys() != found.keys():
        more, less = sorted(claimed.keys() - found.keys()), sorted(found.keys() - claimed.keys())
        return f"{where}: claims {more or 'nothing'} too much, and leaves out {less or 'nothing'}"
    each = (unlike(claimed[name], found[name], f"{where}.{name}") for name in claimed)
    return next((difference for difference in each if difference), None)


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON.
    return (
        "number"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else type(value).__name__
    )
