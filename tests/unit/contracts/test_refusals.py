"""Every code of the registry is explained: its rule, and what can be done."""

import pytest

from quorate.contracts.problems import KINDS
from quorate.contracts.refusals import _BY_CODE, possible_of, rule_of


@pytest.mark.parametrize("code", KINDS)
def test_every_code_has_a_rule_and_an_action(code: str) -> None:
    assert rule_of(code).endswith(".")
    assert "(" not in rule_of(code)[:1]
    assert not rule_of(code).startswith(f"{KINDS[code].error.__name__}(")
    possible = possible_of(code)
    assert possible.action
    assert possible.when


def test_codes_with_an_action_of_their_own_exist() -> None:
    assert _BY_CODE.keys() <= KINDS.keys()
