"""Exceptions of tasks that are delegated by mail. All of them are a ``QuorateError``."""

from quorate.client.errors import QuorateError
from quorate.contracts.mail.messages import MailMessage, SentInfo


class TaskFailedError(QuorateError):
    """The agent answered a task with ``ERROR:``. ``answer`` is its message."""

    def __init__(self, task_id: str, answer: MailMessage) -> None:
        super().__init__(task_id, answer)
        self.task_id = task_id
        self.answer = answer

    def __str__(self) -> str:
        return f"{self.answer.from_address} reports that task {self.task_id} failed"


class TaskCancelledError(QuorateError):
    """The agent answered a task with ``CANCEL:``. ``answer`` is its message."""

    def __init__(self, task_id: str, answer: MailMessage) -> None:
        super().__init__(task_id, answer)
        self.task_id = task_id
        self.answer = answer

    def __str__(self) -> str:
        return f"{self.answer.from_address} cancelled task {self.task_id}"


class MailTimeoutError(QuorateError, TimeoutError):
    """There was no answer to a task in time. A ``CANCEL:`` was sent to the agent."""

    def __init__(self, task_id: str, seconds: float) -> None:
        super().__init__(task_id, seconds)
        self.task_id = task_id
        self.seconds = seconds

    def __str__(self) -> str:
        return f"There was no answer to task {self.task_id} within {self.seconds:g} s"


class MailNotDeliveredError(QuorateError):
    """A task did not reach the agent, so there will be no answer.

    ``sent`` says why, in the ``reason`` of its recipient.
    """

    def __init__(self, sent: SentInfo) -> None:
        super().__init__(sent)
        self.sent = sent

    def __str__(self) -> str:
        (recipient,) = self.sent.recipients
        return f"The task did not reach {recipient.address}: {recipient.reason or recipient.status}"
