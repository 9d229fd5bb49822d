"""A repeated request gets no right that is over, also when FastAPI and FastStream serve it."""

from tests.e2e.service.test_repeated_grants import (
    test_holders_of_one_agent_exclude_each_other,
    test_repeated_acquisition_does_not_return_a_lease_that_is_over,
    test_repeated_authorization_becomes_a_block,
    test_repeated_renewal_does_not_return_a_lease_that_is_over,
)

SERVE = ("--no-fast-lane",)

__all__ = [
    "test_holders_of_one_agent_exclude_each_other",
    "test_repeated_acquisition_does_not_return_a_lease_that_is_over",
    "test_repeated_authorization_becomes_a_block",
    "test_repeated_renewal_does_not_return_a_lease_that_is_over",
]
