"""Subjects that the SDK writes, and the rejection of a sending limit that it reads."""

import pytest

from quorate.client.errors import UnavailableError
from quorate.client.mail import reply_subject
from quorate.client.mail_rejections import SendingLimitReachedError
from quorate.client.mail_tasks import task_subject
from quorate.client.problem_errors import error_from_problem
from quorate.contracts.mail.messages import MailMessage
from quorate.domain.mail.messages import SUBJECT_LENGTH_MAX
from quorate.domain.mail.subjects import parse_subject
from tests.unit.client.test_mail_arrivals import message


def received(subject: str) -> MailMessage:
    topic = parse_subject(subject)
    fields = {"subject": subject, "kind": topic.kind, "task_id": topic.task_id}
    return MailMessage.from_json(message(11, **fields))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Plan", "Re: Plan"),
        ("Re: Plan", "Re: Plan"),
        ("RE: Plan", "RE: Plan"),
        ("Regarding", "Re: Regarding"),
        ("", "Re: "),
    ],
)
def test_reply_has_one_re(subject: str, expected: str) -> None:
    assert reply_subject(received(subject), None) == expected


def test_subject_of_a_reply_is_shortened() -> None:
    assert len(reply_subject(received("x" * SUBJECT_LENGTH_MAX), None)) == SUBJECT_LENGTH_MAX


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("TASK:t-1 — Count the words", "RESULT:t-1 — Count the words"),
        ("TASK:t-1: Count", "RESULT:t-1 — Count"),
        ("TASK:t-1", "RESULT:t-1"),
        ("TASK: Count the words", "RESULT: Count the words"),
    ],
)
def test_answer_keeps_id_and_title_of_the_task(subject: str, expected: str) -> None:
    assert reply_subject(received(subject), "RESULT") == expected


def test_answer_to_what_is_no_task_is_an_error() -> None:
    for subject in ("Plan", "[ESCALATION L2] Plan"):
        with pytest.raises(ValueError, match="no task"):
            reply_subject(received(subject), "RESULT")


def test_long_title_of_a_task_is_shortened() -> None:
    subject = task_subject("TASK", "t-1", "x" * SUBJECT_LENGTH_MAX)

    assert len(subject) == SUBJECT_LENGTH_MAX
    assert parse_subject(subject).task_id == "t-1"


@pytest.mark.parametrize("task_id", ["", "two words", "a:b", "x" * 129])
def test_task_id_that_a_subject_cannot_carry_is_an_error(task_id: str) -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        task_subject("TASK", task_id)


def test_sending_limit_is_not_retried() -> None:
    problem = {
        "code": "rate_limit_exceeded",
        "title": "Sending limit reached",
        "error": {
            "code": "rate_limit_exceeded",
            "message": "Sending limit reached.",
            "retry_after": 1800,
            "details": {"limit_type": "hourly", "hourly_used": 1000, "hourly_limit": 1000},
        },
    }

    error = error_from_problem(problem, 429)

    assert isinstance(error, SendingLimitReachedError)
    assert not isinstance(error, UnavailableError)
    assert (error.limit_type, error.retry_after_seconds) == ("hourly", 1800.0)
