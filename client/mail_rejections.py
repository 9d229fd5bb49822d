"""Rejections of agent mail: one exception class for each problem code, as in rejections.py."""

from quorate.client.errors import ConflictError, NotFoundError
from quorate.client.rejections import RejectedError
from quorate.domain.mail.accounts import NotAnAgent, SendingLimitReached
from quorate.domain.mail.addresses import RecipientInvalid, TooManyRecipients
from quorate.domain.mail.attachments import AttachmentNotFound, AttachmentNotStored
from quorate.domain.mail.deliveries import DeliveryNotFound, NotADeadLetter
from quorate.domain.mail.messages import MessageNotFound
from quorate.domain.mail.sending import NotSchedulable, SubjectTooLong
from quorate.domain.mail.threads import ThreadNotFound


class MailboxRequiredError(RejectedError):
    """The key is not of an agent, so the request must name the agent whose mailbox is meant."""

    code = NotAnAgent.code


class MessageNotFoundError(RejectedError, NotFoundError):
    """The message does not exist, or the agent neither sent nor received it."""

    code = MessageNotFound.code


class AttachmentNotFoundError(RejectedError, NotFoundError):
    """The message has no attachment with this number."""

    code = AttachmentNotFound.code


class AttachmentNotStoredError(RejectedError, NotFoundError):
    """The attachment was erased with the body, or was too large to be stored."""

    code = AttachmentNotStored.code


class ThreadNotFoundError(RejectedError, NotFoundError):
    """The thread does not exist, or the agent takes no part in it."""

    code = ThreadNotFound.code


class DeliveryNotFoundError(RejectedError, NotFoundError):
    code = DeliveryNotFound.code


class NotADeadLetterError(RejectedError, ConflictError):
    code = NotADeadLetter.code


class SendingLimitReachedError(RejectedError, ConflictError):
    """The agent has sent as many messages as its tier permits in an hour or a day.

    The status is 429. The SDK does not retry: ``retry_after_seconds`` may be hours.
    """

    code = SendingLimitReached.code

    @property
    def limit_type(self) -> str:
        """``hourly`` or ``daily``."""
        return str(self._limits.get("limit_type", ""))

    @property
    def retry_after_seconds(self) -> float | None:
        """The seconds until the agent may send again."""
        seconds = self._error.get("retry_after")
        return float(seconds) if isinstance(seconds, int | float) else None

    @property
    def _error(self) -> dict[str, object]:
        error = self.details.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def _limits(self) -> dict[str, object]:
        limits = self._error.get("details")
        return limits if isinstance(limits, dict) else {}


class RecipientInvalidError(RejectedError):
    """A recipient is not one plain address, such as ``kim@example.com``."""

    code = RecipientInvalid.code


class TooManyRecipientsError(RejectedError):
    """A message has 1 to 10 recipients, and a thread a limited number of participants."""

    code = TooManyRecipients.code


class SubjectTooLongError(RejectedError):
    code = SubjectTooLong.code


class NotSchedulableError(RejectedError):
    """Mail to an agent is delivered at once; only mail to people can be scheduled."""

    code = NotSchedulable.code
