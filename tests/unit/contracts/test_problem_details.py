"""The detail of a problem is its title, and the reason that its fields give."""

import dataclasses
import re

import pytest

from quorate.client.rejections import describe_problem
from quorate.contracts.examples import PROBLEM_DETAILS
from quorate.contracts.problems import KINDS, detail_of
from quorate.domain.mail.addresses import RecipientInvalid

_PLACEHOLDER = re.compile(r"{(\w+)")
_WITH_REASON = sorted(code for code, kind in KINDS.items() if kind.reason)


def test_reason_is_in_the_detail() -> None:
    facts = {"address": "kim", "why": "there is no @ in it"}

    detail = detail_of(RecipientInvalid.code, facts)

    assert detail == "Invalid recipient address: there is no @ in it."
    assert describe_problem(422, {"title": RecipientInvalid.title, "detail": detail}) == detail


@pytest.mark.parametrize("code", _WITH_REASON)
def test_reason_names_fields_of_the_problem(code: str) -> None:
    detail = detail_of(code, PROBLEM_DETAILS[code])

    assert detail.startswith(f"{KINDS[code].title}: ")
    assert "{" not in detail
    assert "None" not in detail


def test_each_error_with_a_field_why_says_it() -> None:
    explained = {
        kind.error.code
        for kind in KINDS.values()
        if "why" in {field.name for field in dataclasses.fields(kind.error)}
    }

    assert {"recipient_invalid", "contact_email_invalid", "attachment_not_stored"} < explained
    texts = {code: KINDS[code].detail or KINDS[code].reason for code in explained}
    assert all("why" in _PLACEHOLDER.findall(text) for text in texts.values())


def test_fields_of_an_earlier_version_give_the_title_only() -> None:
    assert detail_of(RecipientInvalid.code, {"address": "kim"}) == "Invalid recipient address."
