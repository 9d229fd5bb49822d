"""How a verb ends when it cannot do its work: one sentence on stderr, and a code for scripts.

What the service declined is also printed as the problem document that it sent, on stdout, where a
program looks for its answer (``calls(as_json=True)``).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quorate.client.errors import CallFailed
    from quorate.client.rejections import Refused

ERROR = 1
USAGE = 2
CONFLICT = 3
UNAUTHORIZED = 4
NOT_FOUND = 5
UNAVAILABLE = 6
EXIT_CODES = """
\b
Exit codes:
  0 done, 1 error, 2 wrong use, 3 conflict, 4 key refused, 5 not found,
  6 unavailable
"""


class Failure(click.ClickException):
    """Whatever stands in the way, in words that the person at the terminal can act on."""

    def __init__(self, message: str, exit_code: int = ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click means it to be overridden.

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - click's own signature.
        from quorate.cli.output.console import printable

        click.echo(f"Error: {printable(self.message).rstrip('.')}.", err=True, file=file)


# What to do about it, for people; the service's own words say what is the matter.
ADVICE: Mapping[str, str] = {
    "unauthorized": "give another key with --api-key, QUORATE_API_KEY or a context",
    "tenant_forbidden": "leave --tenant out, or give a key of that tenant",
    "role_forbidden": "`quorate keys self` tells whose key this is",
    "acting_as_another": "leave --agent-id and --agent-name out, or give that agent's key",
    "agent_not_found": "`quorate agents list` tells which there are",
    "lease_not_found": "`quorate agents leases` tells which there are",
    "consensus_not_found": "`quorate agents consensus list` tells which there are",
    "key_not_found": "`quorate keys list` tells which there are",
    "tenant_not_found": "`quorate tenants create` makes one",
    "lease_conflict": "wait for it, or take another contact",
    "lease_ended": "`quorate agents lease` takes the contact anew",
    "agent_inactive": "`quorate agents heartbeat` makes it active again",
    "already_voted": "the first vote is final",
    "consensus_closed": "`quorate agents consensus get` tells how it ended",
    "quota_exceeded": "end some of what there is, or ask the operator for more",
    "rate_limited": "ask less often, or ask the operator for more",
    "unavailable": "try again in a moment; `quorate doctor` tells what is amiss",
}
OPERATORS_ADVICE: Mapping[str, str] = {
    **ADVICE,
    "role_forbidden": "this takes the operator's key: give QUORATE_ADMIN_KEY",
    "unauthorized": "this takes the operator's key: give QUORATE_ADMIN_KEY",
}


@contextmanager
def calls(*, as_json: bool = False, advice: Mapping[str, str] = ADVICE) -> Iterator[None]:
    """Inside, a call that fails ends the verb with the code that fits."""
    from quorate.client.errors import CallFailed

    try:
        yield
    except CallFailed as failed:
        if as_json:
            _print_problem(failed)
        raise Failure(_sentence(failed, advice), _exit_code(failed)) from failed


def _exit_code(failed: "CallFailed") -> int:
    from quorate.client import errors

    codes: Mapping[type[Exception], int] = {
        errors.Conflicted: CONFLICT,
        errors.Unauthorized: UNAUTHORIZED,
        errors.NotFound: NOT_FOUND,
        errors.Unavailable: UNAVAILABLE,
    }
    return next((code for kind, code in codes.items() if isinstance(failed, kind)), ERROR)


def _sentence(failed: "CallFailed", advice: Mapping[str, str]) -> str:
    """What is the matter and, where we know better than the service, what to do about it."""
    from quorate.client.errors import Unavailable
    from quorate.client.rejections import Refused

    hint = advice.get(failed.code) if isinstance(failed, Refused) else None
    if isinstance(failed, Unavailable) and not isinstance(failed, Refused):
        return f"{failed}: `quorate doctor` looks into it"
    if hint is None or not isinstance(failed, Refused):
        return str(failed)
    problem, _ = failed.args
    said = _holder_named(failed) or str(problem.get("title") or failed).rstrip(".")
    return f"{said}: {hint}"


def _holder_named(failed: "Refused") -> str | None:
    """Who holds a contact is what a person wants to know of a conflict."""
    from quorate.cli.output.console import clock
    from quorate.client.rejections import LeaseConflict

    holder = failed.holder if isinstance(failed, LeaseConflict) else None
    if holder is None:
        return None
    return f"{holder.agent_name} holds the contact until {clock(holder.expires_at)}"


def _print_problem(failed: "CallFailed") -> None:
    from quorate.cli.output.console import print_json
    from quorate.client.rejections import Refused

    if isinstance(failed, Refused):
        problem, _ = failed.args
        print_json(problem)
