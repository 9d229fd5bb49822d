"""Results of the checks of `quorate doctor`."""

from typing import Literal, TypeAlias

from quorate.cli.output.errors import ERROR
from quorate.domain.shared.records import record

Outcome: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@record
class CheckResult:
    """Result of one check; the exit code of the command is that of the first failed check."""

    outcome: Outcome
    message: str
    advice: str | None = None
    exit_code: int = 0


def ok(message: str) -> CheckResult:
    return CheckResult(outcome="ok", message=message)


def warning(message: str, advice: str) -> CheckResult:
    return CheckResult(outcome="warning", message=message, advice=advice)


def failed(message: str, advice: str, exit_code: int = ERROR) -> CheckResult:
    return CheckResult(outcome="failed", message=message, advice=advice, exit_code=exit_code)


def skipped(message: str) -> CheckResult:
    return CheckResult(outcome="skipped", message=message)
