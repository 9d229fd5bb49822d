"""Execute a document as a reader does: block by block, in order, and compare the output.

* ``sh`` is executed in a shell. ``python`` is executed, or saved if its first line is
  ``# name.py``; a later block then runs the file. ``js`` is saved: its first line is
  ``// name.mjs``.
* ``console`` is a session: a line that begins with ``$`` is executed, and the lines below it are
  the expected output. ``...`` matches any text, because some output differs between runs.
* ``json`` directly after an executed block is the expected response. The last JSON value in the
  output has the same fields, with values of the same types.
"""

import json
import re
from typing import Any

from tests.e2e.docs.markdown import EXECUTED, Document, Fence
from tests.e2e.docs.shell import START_COMMAND, Sandbox, SnippetFailed
from tests.e2e.service.service_process import Json

RESPONSE_DISTANCE_LINES_MAX = 4  # Lines between an executed block and its expected response.
_SAVED_AS = re.compile(r"(?:# ([\w-]+\.py)|// ([\w-]+\.mjs))\n")
_PROMPT = "$ "
_ANY_TEXT = "..."


class PageRunner:
    """Execute documents in a sandbox.

    ``outputs`` contains the output of each executed block, by the line number of the block.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.outputs: dict[int, str] = {}
        self._last: Fence | None = None

    def run(self, document: Document) -> None:
        """Execute all blocks; raise SnippetFailed with the position of the first failure."""
        for fence in document.fences:
            try:
                self._execute(fence)
            except SnippetFailed as failure:
                raise SnippetFailed(f"{document.name}:{fence.line}: {failure}") from None

    def _execute(self, fence: Fence) -> None:
        match fence.language:
            case "sh" if command := start_command(fence.text):
                self.sandbox.start_service(command)
            case "sh":
                self.outputs[fence.line] = self._with_service().run_shell(fence.text)
            case "python" | "js" if name := saved_as(fence):
                self.sandbox.save(name, fence.text)
            case "python":
                self._run_python(fence)
            case "js":
                raise SnippetFailed("the first line does not name the file: // name.mjs")
            case "console":
                self._run_session(fence)
            case "json":
                self._compare(fence)
        if fence.language in EXECUTED:
            self._last = fence

    def _with_service(self) -> Sandbox:
        if not self.sandbox.has_service():
            self.sandbox.start_service()
        return self.sandbox

    def _run_python(self, fence: Fence) -> None:
        name = f"line_{fence.line}.py"
        self.outputs[fence.line] = self._with_service().run_python(name, fence.text)

    def _run_session(self, fence: Fence) -> None:
        for command, expected in session_steps(fence.text):
            output = self._with_service().run_shell(command)
            if not matches(output, expected):
                raise SnippetFailed(
                    f"{command}expected:\n{expected}--- but the output is:\n{output}"
                )

    def _compare(self, fence: Fence) -> None:
        expected = json.loads(fence.text)
        last = self._last
        if last is None or last.line not in self.outputs:
            return
        if fence.line - (last.line + last.text.count("\n")) > RESPONSE_DISTANCE_LINES_MAX:
            return
        values = json_values(self.outputs[last.line])
        if not values:
            raise SnippetFailed(
                f"the output contains no JSON:\n{fence.text}\n{self.outputs[last.line]}"
            )
        if difference := difference_between(expected, values[-1]):
            actual = json.dumps(values[-1], indent=2)
            raise SnippetFailed(f"{difference}\n--- in the output:\n{actual}")


def start_command(script: str) -> str | None:
    """Return the only command of a block if it starts the service in another terminal."""
    commands = [line for line in script.splitlines() if line and not line.startswith("#")]
    if len(commands) == 1 and START_COMMAND.fullmatch(commands[0]):
        return commands[0]
    return None


def saved_as(fence: Fence) -> str | None:
    """Return the name of the file that its first line names."""
    found = _SAVED_AS.match(fence.text)
    return found and (found[1] or found[2])


def saved_programs(document: Document) -> list[tuple[Fence, str]]:
    """Return the programs that the reader saves, with their file names."""
    programs = [fence for fence in document.fences if fence.language in {"python", "js"}]
    return [(each, name) for each in programs if (name := saved_as(each))]


# -- Comparison of outputs ---------------------------------------------------


def session_steps(session: str) -> list[tuple[str, str]]:
    """Split a session into its commands (with continuation lines) and their expected outputs."""
    steps: list[tuple[str, str]] = []
    for line in session.splitlines():
        if line.startswith(_PROMPT):
            steps.append((line.removeprefix(_PROMPT) + "\n", ""))
            continue
        assert steps, "a session begins with a prompt"
        command, expected = steps[-1]
        if command.endswith("\\\n"):
            steps[-1] = (command + line.removeprefix("> ") + "\n", expected)
        else:
            steps[-1] = (command, expected + line + "\n")
    return steps


def matches(output: str, expected: str) -> bool:
    """Compare without trailing spaces; ``...`` matches any text, also several lines."""
    pattern = ".*".join(re.escape(part) for part in _stripped(expected).split(_ANY_TEXT))
    return re.fullmatch(pattern, _stripped(output), flags=re.DOTALL) is not None


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def json_values(output: str) -> list[Any]:
    """Return the JSON objects and arrays in an output, in order."""
    decoder, values, position = json.JSONDecoder(), [], 0
    while (start := re.compile(r"[{\[]").search(output, position)) is not None:
        try:
            value, position = decoder.raw_decode(output, start.start())
        except ValueError:
            position = start.end()
        else:
            values.append(value)
    return values


def difference_between(
    expected: Any,  # noqa: ANN401 - any JSON.
    actual: Any,  # noqa: ANN401 - any JSON.
    path: str = "$",
) -> str | None:
    """Describe the first difference in fields or types; None if there is no difference."""
    match expected, actual:
        case dict(), dict():
            return _difference_between_objects(expected, actual, path)
        case list(), list():
            if bool(expected) != bool(actual):
                return f"{path}: one array is empty, the other is not"
            pairs = zip(expected, actual, strict=False)
            each = (difference_between(one, other, f"{path}[]") for one, other in pairs)
            return next((difference for difference in each if difference), None)
        case _ if _type_of(expected) != _type_of(actual):
            return f"{path}: expected {expected!r}, got {actual!r}"
        case _:
            return None


def _difference_between_objects(expected: Json, actual: Json, path: str) -> str | None:
    if expected.keys() != actual.keys():
        missing = sorted(expected.keys() - actual.keys())
        extra = sorted(actual.keys() - expected.keys())
        return f"{path}: the output lacks {missing or 'nothing'} and adds {extra or 'nothing'}"
    each = (difference_between(expected[name], actual[name], f"{path}.{name}") for name in expected)
    return next((difference for difference in each if difference), None)


def _type_of(value: Any) -> str:  # noqa: ANN401 - any JSON.
    return (
        "number"
        if isinstance(value, int | float) and not isinstance(value, bool)
        else type(value).__name__
    )
