"""Errors of commands: what failed and what to do, on stderr, and an exit code for scripts.

With ``report_errors(as_json=True)`` the problem document of the service is also printed to stdout.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from quorate.client.errors import RequestFailedError

ERROR = 1
USAGE = 2
CONFLICT = 3
UNAUTHORIZED = 4
NOT_FOUND = 5
UNAVAILABLE = 6
QUOTA = 7
SIGNALLED = 128  # Plus the number of the signal that ended the command, as in shells.
INTERRUPTED = 130
EXIT_CODES = """
\b
Exit codes:
  0 success, 1 error, 2 usage error, 3 conflict, 4 key rejected,
  5 not found, 6 unavailable, 7 quota exceeded
"""


class Failure(click.ClickException):
    """Ends the command with a message that says what failed; ``hint`` says what to do."""

    def __init__(self, message: str, exit_code: int = ERROR, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click allows to override it.
        self.hint = hint

    def show(self, file: Any = None) -> None:  # noqa: ANN401 - click's own signature.
        from quorate.cli.output.console import printable
        from quorate.runtime.url_redaction import redact_url

        message = printable(redact_url(self.message)).rstrip(".")
        click.echo(f"Error: {message}.", err=True, file=file)
        if self.hint:
            hint = printable(self.hint).rstrip(".")
            click.echo(f"  {hint[:1].upper()}{hint[1:]}.", err=True, file=file)


class MissingInput(str):
    """Advice for a problem whose cause is input that was left out: it becomes a usage error."""

    __slots__ = ()


# What to do about a problem; the service's own text says what the problem is.
ADVICE: Mapping[str, str] = {
    "unauthorized": "use another key with --api-key, QUORATE_API_KEY or a context",
    "tenant_forbidden": "omit --tenant, or use a key of that tenant",
    "role_forbidden": "`quorate whoami` shows the role of your key",
    "acting_as_another": "omit --agent-id and --agent-name, or use the key of that agent",
    "agent_not_found": "list agents with `quorate agents list`",
    "lease_not_found": "list leases with `quorate lease list -o wide`",
    "consensus_not_found": "list proposals with `quorate proposals list -o wide`",
    "key_not_found": "list keys with `quorate keys list`",
    "key_ended": "issue a key with `quorate keys issue`",
    "tenant_not_found": "create it with `quorate tenants create`",
    "lease_conflict": "wait until the lease ends, or choose another contact",
    "lease_ended": "acquire a new lease with `quorate lease acquire`",
    "agent_inactive": "send a heartbeat with `quorate agents heartbeat`",
    "agent_active": "deregister it with `quorate agents deregister`, or wait for its timeout",
    "agent_has_keys": "revoke its keys with `quorate keys revoke`",
    "not_proposer": "only the proposer or a tenant key can cancel a proposal",
    "already_voted": "the first vote is final",
    "consensus_closed": "`quorate proposals get` shows the decision",
    "quota_exceeded": "remove unused items (`quorate agents deregister`), or ask the operator for "
    "a higher quota",
    "daily_quota_exceeded": "`quorate quotas` shows the limits and when they are reset",
    "mailbox_required": "name the agent with --agent-name",
    "message_not_found": "`quorate mail inbox` and `quorate mail sent` list messages",
    "thread_not_found": "only agents that sent or received a message of a thread can read it",
    "recipient_invalid": "use an address such as kim@example.com, or the name of an agent",
    "too_many_recipients": "send several messages",
    "subject_too_long": "move text from the subject to the body",
    "body_too_large": "share a long text elsewhere, and send where it is",
    "rate_limit_exceeded": "`quorate mail account` shows the limits; an operator can raise them "
    "with `quorate mail tier`",
    "delivery_not_found": "list them with `quorate mail dead-letters list`",
    "task_ended": "hand it over again, or retry it if it is a dead letter",
    "not_a_dead_letter": "only a dead letter is retried or dropped",
    "tenant_suspended": "ask the operator to resume the tenant",
    "tenant_paused": "repeat it when the tenant is unpaused: `quorate tenants unpause`",
    "rate_limited": "send fewer requests, or ask the operator for a higher limit",
    "unavailable": "retry shortly; `quorate doctor` checks the service",
}
OPERATOR_ADVICE: Mapping[str, str] = {
    **ADVICE,
    "role_forbidden": "this needs the admin key: set QUORATE_ADMIN_KEY",
    "unauthorized": "this needs the admin key: set QUORATE_ADMIN_KEY",
}
# Problems whose advice depends on the key, so the message says where the key comes from.
_OF_KEY = frozenset({"unauthorized", "tenant_forbidden", "role_forbidden", "acting_as_another"})
_KEY_SOURCES: Mapping[str, str] = {
    "command line": "--api-key",
    "environment": "QUORATE_API_KEY",
}
_QUOTAS: Mapping[str, str] = {
    "live_leases": "active leases",
    "open_requests": "pending proposals",
    "settings_bytes": "bytes of agent config",
    "mailbox_bytes": "bytes of messages",
    "session_bytes": "bytes of sessions",
    "live_leases_per_agent": "active leases of one agent",
    "mailbox_bytes_per_agent": "bytes of the messages of one agent",
    "open_tasks_per_agent": "open tasks of one agent",
}


@contextmanager
def report_errors(
    *, as_json: bool = False, advice: Mapping[str, str] = ADVICE, key_from: str = ""
) -> Iterator[None]:
    """End the command with a message and an exit code when a client call inside fails.

    ``key_from`` is the source of the key, for the problems that concern it.
    """
    from quorate.client.errors import LeaseLostError, RequestFailedError
    from quorate.client.rejections import RejectedError

    try:
        yield
    except LeaseLostError as lost:
        message = f"{lost}, because the response arrived too late"
        raise Failure(message, CONFLICT, ADVICE["lease_ended"]) from lost
    except RequestFailedError as failed:
        hint = ""
        if isinstance(failed, RejectedError):
            hint = advice.get(failed.code, "")
            if isinstance(hint, MissingInput):
                raise click.UsageError(hint) from failed
            if key_from and failed.code in _OF_KEY:
                hint = f"{hint} (the key is from {_KEY_SOURCES.get(key_from, key_from)})"
        elif isinstance(failed, _unavailable()):
            hint = "`quorate doctor` checks the service"
        if as_json:
            _print_problem(failed)
        raise Failure(_describe(failed), _exit_code(failed), hint) from failed


def _unavailable() -> type[Exception]:
    from quorate.client.errors import UnavailableError

    return UnavailableError


def exit_code_of(code: str) -> int:
    """Return the exit code for a problem code, from the class that declares the problem."""
    from quorate.client.problem_errors import error_from_problem
    from quorate.contracts.problems import KINDS

    return _exit_code(error_from_problem({"code": code}, KINDS[code].status))


def _exit_code(failed: "RequestFailedError") -> int:
    from quorate.client import errors, rejections

    if isinstance(failed, rejections.RejectedError):
        declared = _exit_code_of_declaration(failed.code)
        if declared is not None:
            return declared
    codes: Mapping[type[Exception], int] = {
        errors.ConfigurationError: USAGE,
        rejections.InvalidRequestError: USAGE,
        errors.ConflictError: CONFLICT,
        errors.UnauthorizedError: UNAUTHORIZED,
        errors.NotFoundError: NOT_FOUND,
        errors.UnavailableError: UNAVAILABLE,
    }
    return next((code for kind, code in codes.items() if isinstance(failed, kind)), ERROR)


def _exit_code_of_declaration(code: str) -> int | None:
    """Return the exit code of a problem that the domain declares; None for all others."""
    from quorate.contracts.problems import KINDS
    from quorate.domain.shared import errors

    codes: Mapping[type[Exception], int] = {
        errors.Forbidden: UNAUTHORIZED,
        errors.NotFound: NOT_FOUND,
        errors.Conflict: CONFLICT,
        errors.LimitReached: QUOTA,
        errors.Invalid: USAGE,
    }
    kind = KINDS.get(code)
    if kind is None:
        return None  # Of a newer service.
    return next((number for base, number in codes.items() if issubclass(kind.error, base)), None)


def _describe(failed: "RequestFailedError") -> str:
    """Return the problem with the detail of the service, or the facts of a known problem."""
    described = _describe_holder(failed) or _describe_quota(failed) or _describe_recipient(failed)
    return described or str(failed)


def _describe_recipient(failed: "RequestFailedError") -> str | None:
    """Return the address that no message can be sent to, and why."""
    from quorate.client.rejections import RejectedError

    if not isinstance(failed, RejectedError) or failed.code != "recipient_invalid":
        return None
    problem, _ = failed.args
    return f"Invalid recipient address {problem.get('address', '')!r}: {problem.get('why', '')}"


def _describe_quota(failed: "RequestFailedError") -> str | None:
    """Return the quota and its limit."""
    from quorate.client.rejections import QuotaExceededError

    if not isinstance(failed, QuotaExceededError) or failed.limit is None:
        return None
    what = _QUOTAS.get(failed.quota, failed.quota.replace("_", " "))
    return f"Quota exceeded: {what} (limit {failed.limit})"


def _describe_holder(failed: "RequestFailedError") -> str | None:
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
