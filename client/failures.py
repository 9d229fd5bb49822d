"""Why a call brought no answer that can be used.

* CallFailed       the service declined, or what answered is not Quorate
  - Unauthorized     the key is missing, wrong, revoked, or not allowed to do this
  - NotFound         there is nothing at this address for this key
  - Unavailable      nobody answered in time, or the service cannot serve now: try again later
"""


class CallFailed(Exception):
    """Says in one sentence what went wrong."""


class Unauthorized(CallFailed):
    """Another key may help; trying again with this one does not."""


class NotFound(CallFailed):
    """Unknown and foreign are told apart nowhere."""


class Unavailable(CallFailed):
    """Whether a command was taken is unknown; reading again is always safe."""
