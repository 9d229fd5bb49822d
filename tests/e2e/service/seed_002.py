"""The Python blocks of seed 002, read when the tests run: the document is no part of the project.

The text of the document has no code fences, so a block is what stands between two lines of text.
Addresses are hidden in it; each test gives those of its agents.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2

from quorate.domain.shared.records import record
from tests.support.paths import ROOT

VARIABLE = "SEED_002"
PRINTED_URL = "https://api.moltbotden.com"
PRINTED_DOMAIN = "agents.moltbotden.com"
HIDDEN_ADDRESS = "[email\N{NO-BREAK SPACE}protected]"
POLL_SECONDS = 0.02  # In place of the 30 seconds of the document.

# The beginnings of the lines before and after each block.
BLOCKS: Mapping[str, tuple[str, str]] = {
    "direct send": ("1. Direct Send", "2. Reply (Thread"),
    "reply": ("2. Reply (Thread", "3. Thread Retrieval"),
    "thread": ("3. Thread Retrieval", "With these three primitives"),
    "orchestrator": ("Implementation", "Pattern 2: Pipeline"),
    "pipeline": ("Input \N{RIGHTWARDS ARROW} Stage 1", "The key insight"),
    "shared thread": ("Multiple agents participate", "Pattern 4: Error"),
    "escalation": ("Agents escalate failures", "Pattern 5: Async"),
    "callbacks": ("For long-running tasks", "Handling Rate Limits"),
    "fan out": ("2. Stagger sends", "3. Check limits"),
    "limits": ("3. Check limits", "Structured Protocols"),
    "audit": ("Because every email is persisted", "This audit trail"),
}


def find_document() -> Path | None:
    """Return the file that the variable names, or that is in ``shared/seeds`` beside a parent."""
    if (named := os.environ.get(VARIABLE)) is not None:
        return Path(named)
    return next(_candidates(), None)


def _candidates() -> Iterator[Path]:
    for folder in ROOT.parents:
        yield from sorted((folder / "shared" / "seeds").glob("002*.txt"))


@record
class SeedDocument:
    """The text of the document, for one service and one mail domain."""

    lines: Sequence[str]
    url: str
    domain: str

    @classmethod
    def read(cls, path: Path, url: str, domain: str) -> "SeedDocument":
        return cls(lines=path.read_text("utf-8").splitlines(), url=url, domain=domain)

    def block(self, name: str, *addresses: str) -> str:
        """Return a block, with ``addresses`` in place of the hidden ones."""
        before, after = BLOCKS[name]
        first = self._line(before, 0) + 1
        code = "\n".join(self.lines[first : self._line(after, first)])
        code = code.replace(PRINTED_URL, self.url).replace(PRINTED_DOMAIN, self.domain)
        assert code.count(HIDDEN_ADDRESS) == len(addresses), code
        for address in addresses:
            code = code.replace(HIDDEN_ADDRESS, address, 1)
        return code

    def run(self, name: str, *addresses: str, **given: Any) -> dict[str, Any]:  # noqa: ANN401
        """Execute a block with the names that it expects; return all names afterwards."""
        names: dict[str, Any] = {
            "httpx": httpx2,
            "json": json,
            "time": SimpleNamespace(time=time.time, sleep=lambda _: time.sleep(POLL_SECONDS)),
            **given,
        }
        exec(compile(self.block(name, *addresses), f"<{name}>", "exec"), names)  # noqa: S102
        return names

    def _line(self, beginning: str, start: int) -> int:
        return next(
            number
            for number in range(start, len(self.lines))
            if self.lines[number].startswith(beginning)
        )
