"""Errors of commands: one sentence on stderr, and an exit code for scripts.

With ``report_errors(as_json=True)`` the problem document of the service is also printed to stdout.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quorate.client.errors import RequestFailedError
    from quorate.client.rejections import RejectedError

ERROR = 1
USAGE = 2
CONFLICT = 3
UNAUTHORIZED = 4
NOT_FOUND = 5
UNAVAILABLE = 6
EXIT_CODES = """
\b
Exit codes:
  0 success, 1 error, 2 usage error, 3 conflict, 4 key rejected,
  5 not found, 6 unavailable
"""


class Failure(click.ClickException):
    """Ends the command with a message that says what failed and what to do."""

    def __init__(self, message: str, exit_code: int = ERROR) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click allows to override it.

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - click's own signature.
        from quorate.cli.output.console import printable

        click.echo(f"Error: {printable(self.message).rstrip('.')}.", err=True, file=file)


# What to do about a problem; the service's own text says what the problem is.
ADVICE: Mapping[str, str] = {
    "unauthorized": "use another key with --api-key, QUORATE_API_KEY or a context",
    "tenant_forbidden": "omit --tenant, or use a key of that tenant",
    "role_forbidden": "`quorate keys self` shows the role of your key",
    "acting_as_another": "omit --agent-id and --agent-name, or use the key of that agent",
    "agent_not_found": "list agents with `quorate agents list`",
    "lease_not_found": "list leases with `quorate agents leases`",
    "consensus_not_found": "list proposals with `quorate agents consensus list`",
    "key_not_found": "list keys with `quorate keys list`",
    "tenant_not_found": "create it with `quorate tenants create`",
    "lease_conflict": "wait until the lease ends, or choose another contact",
    "lease_ended": "acquire a new lease with `quorate agents lease`",
    "agent_inactive": "send a heartbeat with `quorate agents heartbeat`",
    "agent_active": "deregister it with `quorate agents deregister`, or wait for its timeout",
    "agent_has_keys": "revoke its keys with `quorate keys revoke`",
    "not_proposer": "only the proposer or a tenant key can cancel a proposal",
    "already_voted": "the first vote is final",
    "consensus_closed": "`quorate agents consensus get` shows the decision",
    "quota_exceeded": "remove unused items (`quorate agents deregister`), or ask the operator for "
    "a higher quota",
    "daily_quota_exceeded": "`quorate quotas` shows the limits and when they are reset",
    "tenant_suspended": "ask the operator to resume the tenant",
    "rate_limited": "send fewer requests, or ask the operator for a higher limit",
    "unavailable": "retry shortly; `quorate doctor` checks the service",
}
OPERATOR_ADVICE: Mapping[str, str] = {
    **ADVICE,
    "role_forbidden": "this needs the admin key: set QUORATE_ADMIN_KEY",
    "unauthorized": "this needs the admin key: set QUORATE_ADMIN_KEY",
}


@contextmanager
def report_errors(*, as_json: bool = False, advice: Mapping[str, str] = ADVICE) -> Iterator[None]:
    """End the command with a message and an exit code when a client call inside fails."""
    from quorate.client.errors import LeaseLostError, RequestFailedError

    try:
        yield
    except LeaseLostError as lost:
        message = f"{lost}, because the response arrived too late: {ADVICE['lease_ended']}"
        raise Failure(message, CONFLICT) from lost
    except RequestFailedError as failed:
        if as_json:
            _print_problem(failed)
        raise Failure(_describe(failed, advice), _exit_code(failed)) from failed


def exit_code_of(code: str) -> int:
    """Return the exit code for a problem code, from the class that declares the problem."""
    from quorate.client.rejections import error_from_problem
    from quorate.contracts.problems import KINDS

    return _exit_code(error_from_problem({"code": code}, KINDS[code].status))


def _exit_code(failed: "RequestFailedError") -> int:
    from quorate.client import errors

    codes: Mapping[type[Exception], int] = {
        errors.ConfigurationError: USAGE,
        errors.ConflictError: CONFLICT,
        errors.UnauthorizedError: UNAUTHORIZED,
        errors.NotFoundError: NOT_FOUND,
        errors.UnavailableError: UNAVAILABLE,
    }
    return next((code for kind, code in codes.items() if isinstance(failed, kind)), ERROR)


def _describe(failed: "RequestFailedError", advice: Mapping[str, str]) -> str:
    """Return the problem, and the advice for it if there is any."""
    from quorate.client.errors import UnavailableError
    from quorate.client.rejections import RejectedError

    hint = advice.get(failed.code) if isinstance(failed, RejectedError) else None
    if isinstance(failed, UnavailableError) and not isinstance(failed, RejectedError):
        return f"{failed}: `quorate doctor` checks the service"
    if hint is None or not isinstance(failed, RejectedError):
        return str(failed)
    problem, _ = failed.args
    description = _describe_holder(failed) or str(problem.get("title") or failed).rstrip(".")
    return f"{description}: {hint}"


def _describe_holder(failed: "RejectedError") -> str | None:
    """Return the holder and the end of its lease for a lease conflict."""
    from quorate.cli.output.console import format_time
    from quorate.client.rejections import LeaseConflictError

    holder = failed.holder if isinstance(failed, LeaseConflictError) else None
    if holder is None:
        return None
    instance = f" (holder {holder.holder})" if holder.holder else ""
    until = format_time(holder.expires_at)
    return f"{holder.agent_name}{instance} holds the contact until {until}"


def _print_problem(failed: "RequestFailedError") -> None:
    from quorate.cli.output.console import print_json
    from quorate.client.rejections import RejectedError

    if isinstance(failed, RejectedError):
        problem, _ = failed.args
        print_json(problem)
