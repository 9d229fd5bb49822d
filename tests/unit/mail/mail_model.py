"""A naive second model of mail: lists of what happened, counted again for every question."""

from dataclasses import dataclass, field

from quorate.domain.mail.settings import SendingLimit

HOUR, DAY = 3_600_000, 86_400_000


@dataclass
class Sent:
    sender: str | None  # None: from outside.
    at: int
    size: int
    erase_at: int | None
    recipients: dict[str, str]  # Address to status, in order.
    erased: bool = False


@dataclass
class Entry:
    agent: str
    message: str
    read: bool = False
    starred: bool = False
    acked: bool = False
    deleted: bool = False


@dataclass
class MailModel:
    """What the rules say, without any state that could drift."""

    names: tuple[str, ...]
    limit: SendingLimit
    tenant_bytes: int
    agent_bytes: int
    messages: dict[str, Sent] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    closed: set[str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)
    rfc_ids: set[str] = field(default_factory=set)

    # -- Counted again each time ------------------------------------------------

    def used(self, agent: str, at: int, period: int) -> int:
        times = [one.at for one in self.messages.values() if one.sender == agent]
        return len([one for one in times if one // period == at // period])

    def unread(self, agent: str) -> int:
        return len([one for one in self.kept(agent) if not one.read])

    def kept(self, agent: str) -> list[Entry]:
        return [one for one in self.entries if one.agent == agent and not one.deleted]

    def stored(self, agent: str) -> int:
        return sum(self.size(one.message) for one in self.kept(agent))

    def size(self, message: str) -> int:
        return 0 if self.messages[message].erased else self.messages[message].size

    def stored_by_tenant(self) -> int:
        return sum(map(self.size, self.messages))

    def entry(self, agent: str, message: str) -> Entry | None:
        found = [one for one in self.kept(agent) if one.message == message]
        return found[0] if found else None

    # -- Decisions -------------------------------------------------------------

    def send(  # noqa: PLR0917 - a command of the model.
        self, message: str, agent: str, to: list[str], size: int, at: int, erase_at: int | None
    ) -> str | None:
        """Return the code of the rejection, or None."""
        if self.used(agent, at, DAY) >= self.limit.daily:
            return "rate_limit_exceeded"
        if self.used(agent, at, HOUR) >= self.limit.hourly:
            return "rate_limit_exceeded"
        readers = [one for one in to if one in self.names and one not in self.closed]
        if size and self.stored_by_tenant() + size > self.tenant_bytes:
            return "quota_exceeded"
        if size and any(self.stored(one) + size > self.agent_bytes for one in readers):
            return "quota_exceeded"
        statuses = {one: self.first_status(agent, one) for one in to}
        self.messages[message] = Sent(agent, at, size, erase_at, statuses)
        self.entries += [Entry(one, message) for one in readers]
        return None

    def first_status(self, agent: str, recipient: str) -> str:
        if "@" in recipient:
            return "blocked" if agent in self.frozen else "queued"
        if recipient not in self.names:
            return "bounced"
        return "blocked" if recipient in self.closed else "delivered"

    def receive(self, message: str, rfc_id: str, to: list[str], size: int, at: int) -> list[str]:
        """Return the agents that have the message from now on."""
        if rfc_id in self.rfc_ids:
            return []
        if size and self.stored_by_tenant() + size > self.tenant_bytes:
            return []
        readers = [one for one in to if one in self.names and one not in self.closed]
        readers = [
            one for one in readers if not size or self.stored(one) + size <= self.agent_bytes
        ]
        if readers:
            self.rfc_ids.add(rfc_id)
            self.messages[message] = Sent(None, at, size, None, dict.fromkeys(readers, "delivered"))
            self.entries += [Entry(one, message) for one in readers]
        return readers
