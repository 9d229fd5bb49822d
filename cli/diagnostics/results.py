"""What a check found: that all is well, or what is not and what to do about it."""

from typing import Literal, TypeAlias

from quorate.cli.output.errors import ERROR
from quorate.domain.shared.records import record

Outcome: TypeAlias = Literal["ok", "warning", "failed", "skipped"]


@record
class CheckResult:
    """``exit_code`` is how a script is told of it, should it be the first that failed."""

    outcome: Outcome
    says: str
    advice: str | None = None
    exit_code: int = 0


def well(says: str) -> CheckResult:
    return CheckResult(outcome="ok", says=says)


def warning(says: str, advice: str) -> CheckResult:
    return CheckResult(outcome="warning", says=says, advice=advice)


def failed(says: str, advice: str, exit_code: int = ERROR) -> CheckResult:
    return CheckResult(outcome="failed", says=says, advice=advice, exit_code=exit_code)


def skipped(says: str) -> CheckResult:
    return CheckResult(outcome="skipped", says=says)
