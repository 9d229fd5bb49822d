"""How long to search for counter-examples.

``ci`` takes the same examples every time, so that a red build has a reason in the change at hand.
HYPOTHESIS_PROFILE=long takes new ones on every run, and many more of them.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci",
    deadline=None,  # A slow machine is no counter-example.
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    deadline=None,
    max_examples=3_000,
    print_blob=True,
    stateful_step_count=80,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
