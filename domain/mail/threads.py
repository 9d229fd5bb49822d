"""A thread: the messages that answer each other, its first subject, and who takes part.

* Everyone who sent or received a message in a thread takes part in it. Who takes part may read all
  of it, from the first message on, and may answer each message of it.
* An agent takes part once, whether a message names it by its name or by its id. A person takes part
  once, in whatever case the address is written.
* A thread without a further message never changes: only new participants change its state.
"""

from dataclasses import dataclass

from quorate.domain.mail.addresses import TooManyRecipients
from quorate.domain.shared.aggregates import Aggregate
from quorate.domain.shared.errors import NotFound
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.timestamps import Timestamp

PARTICIPANTS_MAX = 200
THREAD_OF_MESSAGE = "mail_thread.message"  # A read of the thread of a message.


@record
class MailThread:
    id: str
    subject: str  # Of its first message.
    created_at: Timestamp
    addresses: tuple[str, ...] = ()  # Of all participants, in the order in which they joined.
    agent_ids: tuple[str, ...] = ()  # Those of them that are agents of the tenant.


@dataclass(eq=False)
class ThreadNotFound(NotFound):
    code, title = "thread_not_found", "Thread not found"


def joined(thread: MailThread, address: str, agent_id: str | None) -> MailThread:
    """Return the thread with one more participant; the same object if it takes part already."""
    if agent_id is not None:
        if agent_id in thread.agent_ids:
            return thread
        thread = changed(thread, agent_ids=(*thread.agent_ids, agent_id))
    key = address.lower()
    if any(one.lower() == key for one in thread.addresses):
        return thread
    return changed(thread, addresses=(*thread.addresses, address))


def check_participants(thread: MailThread | None, more: int) -> None:
    if thread is not None and len(thread.addresses) + more > PARTICIPANTS_MAX:
        raise TooManyRecipients(PARTICIPANTS_MAX)


# Messages and deliveries change threads; a thread has no events of its own.
MAIL_THREADS: Aggregate[MailThread] = Aggregate(
    name="mail_thread", events=(), stream=lambda event: f"thread-{event.thread_id}"
)
