"""Port to the SMTP relay: hands over one message for one recipient.

Guarantees:

* ``send`` returns only after the relay accepted responsibility for the message.
* TemporaryFailure says that a retry may succeed, and that the relay may already have the message.
* PermanentFailure says that this message to this recipient can never succeed.
"""

from typing import Protocol

from quorate.domain.shared.records import record


@record
class Sent:
    """The relay's reply to an accepted message, often with its queue id."""

    code: int
    detail: str


class DeliveryFailure(Exception):
    """The relay did not accept a message; ``code`` is its SMTP reply code, if it replied."""

    def __init__(self, code: int | None, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


class TemporaryFailure(DeliveryFailure):
    """A later attempt may succeed."""


class PermanentFailure(DeliveryFailure):
    """Every attempt would fail: the message bounces."""


class MailTransport(Protocol):
    async def send(self, message: bytes, *, sender: str, recipient: str) -> Sent:
        """Hand over a message; raises TemporaryFailure or PermanentFailure.

        ``sender`` is the envelope's sender; an empty one is the null sender of bounces.
        """
        ...
