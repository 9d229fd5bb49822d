"""Subjects of the structured protocol are parsed, and no subject is rejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.mail.subjects import KINDS, TASK_ID_LENGTH_MAX, Topic, parse_subject

TASK_KINDS = ("TASK", "RESULT", "ERROR", "STATUS", "ACK", "CANCEL")


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_kind_and_task_id_of_each_form(kind: str) -> None:
    assert parse_subject(f"{kind}:search-1") == Topic(kind=kind, task_id="search-1")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("subject", "task_id"),
    [
        ("TASK:search — Web Search", "search"),  # The seed's own separator.
        ("TASK:search \N{EN DASH} Web Search", "search"),
        ("TASK:search - Web Search", "search"),
        ("TASK:search: Web Search", "search"),
        ("TASK:search, Web Search", "search"),
        ("TASK:search|Web Search", "search"),
        ("TASK:a-b_c.d/e#1", "a-b_c.d/e#1"),
        ("TASK:42\tTitle", "42"),
        ("TASK:ünï", "ünï"),
        (f"TASK:{'x' * TASK_ID_LENGTH_MAX}", "x" * TASK_ID_LENGTH_MAX),
    ],
)
def test_task_id_ends_at_the_separator_of_a_title(subject: str, task_id: str) -> None:
    assert parse_subject(subject) == Topic(kind="TASK", task_id=task_id)


@pytest.mark.parametrize(
    ("subject", "kind"),
    [
        ("RESULT: Market analysis complete", "RESULT"),  # Pattern 5 of the seed.
        ("TASK: 1", "TASK"),
        ("ERROR:\tThe disk is full", "ERROR"),
        ("STATUS:", "STATUS"),
    ],
)
def test_title_without_a_task_id_has_the_kind_only(subject: str, kind: str) -> None:
    assert parse_subject(subject) == Topic(kind=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(("subject", "level"), [("0", 0), ("2", 2), ("999", 999)])
def test_level_of_an_escalation(subject: str, level: int) -> None:
    found = parse_subject(f"[ESCALATION L{subject}] timeout")
    assert found == Topic(kind="ESCALATION", level=level)


@pytest.mark.parametrize(
    "subject",
    [
        *("", "Hello", "task:1", "Re: TASK:1", " TASK:1", "TASK", "TASKS:1", "TASK::1", "TASK:,1"),
        *("[COLLAB] topic", "Task: Process customer data", "Long task: Generate", "RESULT : done"),
        *("[ESCALATION L]", "[ESCALATION L-1] x", "[ESCALATION L1000] x", "[escalation L1] x"),
        f"TASK:{'x' * (TASK_ID_LENGTH_MAX + 1)}",
        "[ESCALATION L\N{ARABIC-INDIC DIGIT TWO}] x",
    ],
)
def test_other_subjects_have_no_kind(subject: str) -> None:
    assert parse_subject(subject) == Topic()


_PIECES = st.sampled_from((*KINDS, ":", "[ESCALATION L", "]", "—", "\n", "\x00", "\ud800", "9"))


@given(st.one_of(st.text(), st.lists(st.one_of(_PIECES, st.text(max_size=3))).map("".join)))
def test_no_subject_is_rejected(subject: str) -> None:
    found = parse_subject(subject)

    assert found.task_id is None or found.kind in TASK_KINDS
    assert (found.level is not None) == (found.kind == "ESCALATION")
    if found.task_id is not None:
        assert subject.startswith(f"{found.kind}:{found.task_id}")
        assert 1 <= len(found.task_id) <= TASK_ID_LENGTH_MAX
