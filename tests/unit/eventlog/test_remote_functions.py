"""Functions that were defined in place can be sent to another process."""

import pickle
from typing import Any

import pytest

from quorate.eventlog.remote.functions import pack, unpack
from tests.support.placed_functions import compiled, multiply, nested, two_of_one_line


def sent(function: Any) -> Any:  # noqa: ANN401 - any callable.
    return unpack(pickle.loads(pickle.dumps(pack(function))))  # noqa: S301 - of this test.


def test_function_of_a_module_is_sent_by_its_name() -> None:
    assert sent(multiply) is multiply
    assert sent(len) is len
    assert sent(None) is None


def test_function_keeps_the_values_that_it_closes_over() -> None:
    assert sent(multiply(7))(6) == 42


def test_functions_of_one_line_are_told_apart() -> None:
    double, negate = two_of_one_line()

    assert (sent(double)(5), sent(negate)(5)) == (10, -5)


def test_function_in_place_may_use_others_and_its_module() -> None:
    assert sent(nested())(1) == 7


def test_bound_method_is_sent_with_its_object() -> None:
    assert sent({"a": 1}.__getitem__)("a") == 1


def test_code_that_no_module_contains_is_refused() -> None:
    with pytest.raises(pickle.PicklingError, match="cannot be sent"):
        pack(compiled())
