"""Names of the profiles. A profile is a set of tools that a client is offered."""

from typing import Final

COORDINATION: Final = "coordination"
SESSIONS: Final = "sessions"
PROFILE_NAMES: Final = (COORDINATION, SESSIONS)
