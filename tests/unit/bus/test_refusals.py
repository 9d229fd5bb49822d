"""A refused name is refused until its time has passed."""

from quorate.bus.auth import refusals
from quorate.bus.auth.refusals import Refusals


def test_name_is_refused_until_its_time() -> None:
    now = 100.0
    refused = Refusals(lambda: now)
    refused.refuse("ann", 30)
    assert (refused.seconds_left("ann"), refused.seconds_left("bob")) == (30, 0)

    now = 129.0
    assert refused.seconds_left("ann") == 1
    now = 130.0
    assert refused.seconds_left("ann") == 0


def test_only_the_newest_names_are_kept() -> None:
    refused = Refusals(lambda: 0.0)

    for number in range(refusals.NAMES_MAX + 1):
        refused.refuse(str(number), 1)

    assert refused.seconds_left("0") == 0
    assert refused.seconds_left(str(refusals.NAMES_MAX)) == 1
