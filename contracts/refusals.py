"""Explain refusals by their code: the rule, and what can be done. They leave no event.

* The rule is what the class of the error says; a class without a docstring has its title.
* What can be done is written here for the codes with an answer of their own, and else by status.
"""

from collections.abc import Mapping
from http import HTTPStatus

from quorate.contracts.problems import KINDS
from quorate.domain.explanations.records import Possible

_NOW = "at once"
_BY_CODE: Mapping[str, tuple[str, str]] = {
    "acting_as_another": ("Omit the agent, or name the agent of the API key", _NOW),
    "agent_active": ("Deregister the agent", "before it is removed"),
    "agent_inactive": ("Send a heartbeat or register, then repeat the request", _NOW),
    "agent_not_found": ("Register the agent, then repeat the request", _NOW),
    "already_voted": ("Read the proposal: the first vote counts", _NOW),
    "body_too_large": ("Send less", _NOW),
    "consensus_closed": ("Read the decision, or propose the action again", _NOW),
    "daily_quota_exceeded": ("Repeat the request", "when the quota is reset"),
    "gap": ("Ask for the first sequence that can be read, or a later one", _NOW),
    "idempotency_key_reused": ("Use another idempotency key for another request", _NOW),
    "internal_error": ("Report the request id to the operator", _NOW),
    "lease_conflict": (
        "Wait for lease_available, then acquire the contact",
        "when the lease of the holder ends",
    ),
    "lease_ended": ("Acquire the contact again, and use the new fence", _NOW),
    "log_mismatch": ("Begin again with after=0 and without logId", _NOW),
    "not_eligible": ("Nothing: the agent has no vote on this proposal", "never"),
    "origin_forbidden": ("Let the operator permit the origin of the page", "with --cors-origin"),
    "quota_exceeded": ("Release what is not needed, or ask for a higher limit", _NOW),
    "rate_limit_exceeded": ("Send later", "in the next hour or day"),
    "rate_limited": ("Repeat the request", "after retryAfterSeconds"),
    "role_forbidden": ("Use a key of another role", _NOW),
    "stale_fence": ("Stop working on the task: the claim has ended", _NOW),
    "task_not_a_dead_letter": ("Submit the work as another task", _NOW),
    "tenant_forbidden": ("Omit the tenant: the API key determines it", _NOW),
    "tenant_paused": ("Read, and repeat the command later", "when the tenant is unpaused"),
    "tenant_suspended": ("Wait until the operator resumes the tenant", "until it is resumed"),
    "too_many_streams": ("Repeat the request", "when another stream has ended"),
    "unauthorized": ("Use a valid API key", _NOW),
}
_BY_STATUS: Mapping[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("Correct the request", _NOW),
    HTTPStatus.UNPROCESSABLE_ENTITY: ("Correct the value that the problem names", _NOW),
    HTTPStatus.FORBIDDEN: ("Use a key that may do this", _NOW),
    HTTPStatus.NOT_FOUND: ("Check the id", _NOW),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Use another method", _NOW),
    HTTPStatus.REQUEST_TIMEOUT: ("Send the request again, faster", _NOW),
    HTTPStatus.CONFLICT: ("Read the present state, then decide again", _NOW),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("Send less", _NOW),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("Send another media type", _NOW),
    HTTPStatus.TOO_MANY_REQUESTS: ("Delete what is not needed", "before the request"),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ("Send fewer headers", _NOW),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Repeat the request", "after some seconds"),
}


def rule_of(code: str) -> str:
    """Return the rule of a code in one sentence or two."""
    kind = KINDS[code]
    document = kind.error.__doc__ or ""
    is_generated = not document or document.startswith(f"{kind.error.__name__}(")
    text = kind.title if is_generated else " ".join(document.split("\n\n")[0].split())
    return f"{text.rstrip('.')}."


def possible_of(code: str) -> Possible:
    action, when = _BY_CODE.get(code) or _BY_STATUS[KINDS[code].status]
    return Possible(action=action, when=when)
