"""Exceptions of the SDK. All of them are a ``QuorateError``.

* ``RequestFailedError``   a request has no usable response
  - ``UnauthorizedError``    401, 403: the key is missing, wrong, revoked, or lacks the permission
  - ``NotFoundError``        404: the id does not exist for this key
  - ``ConflictError``        409: the present state does not allow the operation
  - ``UnavailableError``     408, 429, 502-504, or no response in time: retry later
  - ``ConfigurationError``   the URL, the key, a proxy or a certificate is missing or invalid
  - ``ClientClosedError``    the agent or feed was closed before the request finished
* ``LeaseLostError``       a held lease is lost; no request needs to have failed
* ``ForkedError``          a child process uses an agent, lease, client or feed of its parent

A rejection by the service has a problem ``code`` (RFC 9457). It is a ``RejectedError`` as well,
with one class for each code (client/rejections.py).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quorate.client.lease_validity import LossReason


class QuorateError(Exception):
    """Base class of all exceptions of the SDK."""


class RequestFailedError(QuorateError):
    """A request failed. ``str(error)`` is one sentence that names the cause.

    Instances of exactly this class mean that the response is not from Quorate.
    """


class ConfigurationError(RequestFailedError, ValueError):
    """The URL, the key, a proxy or a certificate is missing or invalid; nothing was sent."""


class UnauthorizedError(RequestFailedError):
    """The key does not permit the operation (401, 403). A retry with the same key fails again."""


class NotFoundError(RequestFailedError):
    """The id does not exist for this key (404).

    The service gives the same response for an id of another tenant.
    """


class ConflictError(RequestFailedError):
    """The present state does not allow the operation (409). Retry when the state has changed."""


class UnavailableError(RequestFailedError):
    """There is no response in time, or the service cannot serve the request now.

    A command may have been carried out or not. Retry it with the same idempotency key to find out;
    a query is always safe to retry. ``retry_after_seconds`` is the delay that the service asked for
    (``Retry-After``), or None.
    """

    retry_after_seconds: float | None = None


class ClientClosedError(RequestFailedError):
    """The agent or feed is closed, so it sends no more requests."""


class ForkedError(QuorateError):
    """The process was forked, and the object belongs to the parent. Connect again in the child."""


class LeaseLostError(QuorateError):
    """Raised when a held lease is lost: stop acting on the contact.

    ``reason`` is one of:

    * ``expired``, ``revoked``, ``released``: the service reported the end of the lease;
    * ``unreachable``: no renewal was confirmed in time, by the agent's clock;
    * ``agent_inactive``: no heartbeat was confirmed in time, by the agent's clock;
    * ``left``: the agent itself has disconnected.

    ``lease_id``, ``contact_email`` and ``fence`` (the fencing token) identify the lost lease.
    """

    def __init__(self, reason: "LossReason", lease_id: str, contact_email: str, fence: int) -> None:
        super().__init__(reason, lease_id, contact_email, fence)
        self.reason = reason
        self.lease_id = lease_id
        self.contact_email = contact_email
        self.fence = fence

    def __str__(self) -> str:
        return f"The lease on {self.contact_email} is lost ({self.reason})"
