"""The mail account of an agent: what it may send, what it sent, and whose mail it accepts.

* Sends are counted per hour and per day of UTC, in the transaction that records them, so the limits
  are exact, whichever replica decides.
* The reputation is 1 - (bounces + complaints) / outcomes, over the last REPUTATION_WINDOW outcomes
  of mail to people. Below REPUTATION_MIN, with at least REPUTATION_OUTCOMES_MIN outcomes, mail to
  people is blocked until an operator thaws the account. Mail between agents is not affected.
* The policy concerns mail that arrives. An agent that was never configured accepts all mail.
* An account exists from the first mail of its agent; before, it has the default values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never, get_args

from quorate.domain.identity.agents import (
    AGENTS,
    AgentNotFound,
    AgentRef,
    acting,
    find_agent,
    reads_of_agent,
)
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.settings import TIER_DEFAULT, SendingLimit, Tier
from quorate.domain.shared.aggregates import Aggregate, Reads
from quorate.domain.shared.errors import Invalid, LimitReached
from quorate.domain.shared.records import changed, record
from quorate.domain.shared.state import DecisionContext, TenantState
from quorate.domain.shared.timestamps import (
    MILLISECONDS_PER_DAY,
    MILLISECONDS_PER_HOUR,
    MILLISECONDS_PER_SECOND,
    Timestamp,
)

REPUTATION_WINDOW = 100
REPUTATION_OUTCOMES_MIN = 10
REPUTATION_MIN = 0.5
GOOD, BAD = "1", "0"
POLICY_ENTRIES_MAX = 1_000

Mode: TypeAlias = Literal["open", "contacts_only", "closed"]
FreezeReason: TypeAlias = Literal["reputation", "operator"]

# -- Events ------------------------------------------------------------------


@record
class MailPolicySet:
    agent_id: str
    mode: Mode
    allow: tuple[str, ...]
    block: tuple[str, ...]


@record
class MailSendingFrozen:
    agent_id: str
    reason: FreezeReason
    detail: str | None = None


@record
class MailSendingThawed:
    agent_id: str
    detail: str | None = None


@record
class MailTierSet:
    agent_id: str
    tier: Tier


Event: TypeAlias = MailPolicySet | MailSendingFrozen | MailSendingThawed | MailTierSet


# -- State -------------------------------------------------------------------


@record
class MailPolicy:
    mode: Mode = "open"
    allow: tuple[str, ...] = ()  # Addresses, agent names or agent ids, in lower case.
    block: tuple[str, ...] = ()

    def accepts(self, *names: str) -> bool:
        """Whether mail of a sender with these names is accepted."""
        if not self.block and self.mode == "open":
            return True
        known = {name.lower() for name in names}
        if known & set(self.block) or self.mode == "closed":
            return False
        return self.mode == "open" or bool(known & set(self.allow))


OPEN_POLICY = MailPolicy()


@record
class MailAccount:
    id: str  # Of the agent.
    created_at: Timestamp
    tier: Tier = TIER_DEFAULT
    hour: int = 0  # Counted from 1970, as is the day.
    hour_used: int = 0
    day: int = 0
    day_used: int = 0
    total_sent: int = 0
    total_received: int = 0
    total_bounced: int = 0
    total_complaints: int = 0
    unread: int = 0
    stored_bytes: int = 0  # Of received messages that are not deleted or erased.
    outcomes: str = ""  # The last outcomes of mail to people, oldest first.
    frozen_at: Timestamp | None = None
    frozen_reason: FreezeReason | None = None
    policy: MailPolicy = OPEN_POLICY

    @property
    def reputation(self) -> float:
        if not self.outcomes:
            return 1.0
        return 1.0 - self.outcomes.count(BAD) / len(self.outcomes)


@record
class SendingUse:
    """What an agent has sent in this hour and in this day, and when they end."""

    hourly: int
    daily: int
    hourly_resets_at: Timestamp
    daily_resets_at: Timestamp


def sending_use(account: MailAccount, now: Timestamp) -> SendingUse:
    hour, day = now // MILLISECONDS_PER_HOUR, now // MILLISECONDS_PER_DAY
    return SendingUse(
        hourly=account.hour_used if account.hour == hour else 0,
        daily=account.day_used if account.day == day else 0,
        hourly_resets_at=Timestamp((hour + 1) * MILLISECONDS_PER_HOUR),
        daily_resets_at=Timestamp((day + 1) * MILLISECONDS_PER_DAY),
    )


# -- Errors ------------------------------------------------------------------


@dataclass(eq=False)
class SendingLimitReached(LimitReached):
    """The agent has sent as many messages as it may in this hour or day."""

    code, title = "rate_limit_exceeded", "Sending limit reached"
    reason = (
        "{hourly_used} of {hourly_limit} messages in this hour, "
        "{daily_used} of {daily_limit} in this day"
    )
    limit_type: Literal["hourly", "daily"]
    hourly_used: int
    hourly_limit: int
    hourly_resets_at: Timestamp
    daily_used: int
    daily_limit: int
    daily_resets_at: Timestamp
    retry_after_seconds: int


def check_sending(account: MailAccount, limit: SendingLimit, now: Timestamp) -> None:
    """Raise SendingLimitReached if one more message is above a limit."""
    use = sending_use(account, now)
    if use.hourly < limit.hourly and use.daily < limit.daily:
        return
    limit_type: Literal["hourly", "daily"] = "daily" if use.daily >= limit.daily else "hourly"
    resets_at = use.daily_resets_at if limit_type == "daily" else use.hourly_resets_at
    raise SendingLimitReached(
        limit_type=limit_type,
        hourly_used=use.hourly,
        hourly_limit=limit.hourly,
        hourly_resets_at=use.hourly_resets_at,
        daily_used=use.daily,
        daily_limit=limit.daily,
        daily_resets_at=use.daily_resets_at,
        retry_after_seconds=-((now - resets_at) // MILLISECONDS_PER_SECOND),
    )


class NotAnAgent(Invalid):
    """A mailbox belongs to an agent; a key that is none names it by ``agent_id``."""

    code, title = "mailbox_required", "Name the agent whose mailbox is meant"


# -- Commands ----------------------------------------------------------------


def account_of(state: TenantState, agent_id: str, now: Timestamp) -> MailAccount:
    """Return the account of an agent; one with default values before its first mail."""
    found = state[MAIL_ACCOUNTS].get(agent_id)
    return MailAccount(id=agent_id, created_at=now) if found is None else found


class AccountCommand:
    """A command on the account of one agent."""

    __slots__ = ()
    caller: Principal
    agent: AgentRef

    def reads(self) -> Reads:
        return reads_of_agent(self.caller, self.agent, AGENTS.name, MAIL_ACCOUNTS.name)

    def _account(self, state: TenantState, context: DecisionContext) -> MailAccount:
        agent = acting(self.caller, self.agent, state)
        return account_of(state, agent.id, context.now)

    def result(self, state: TenantState, _events: Sequence[Event]) -> MailAccount:
        agent = acting(self.caller, self.agent, state)
        return account_of(state, agent.id, Timestamp(0))


@record
class SetMailPolicy(AccountCommand):
    caller: Principal
    agent: AgentRef
    policy: MailPolicy

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        account, policy = self._account(state, context), self.policy
        if account.policy == policy:
            return []
        return [
            MailPolicySet(
                agent_id=account.id, mode=policy.mode, allow=policy.allow, block=policy.block
            )
        ]


class OperatorCommand(AccountCommand):
    """A command of an operator: the agent may be away, or have left without its name removed."""

    __slots__ = ()

    def _account(self, state: TenantState, context: DecisionContext) -> MailAccount:
        return account_of(state, self._agent_id(state), context.now)

    def _agent_id(self, state: TenantState) -> str:
        agent = find_agent(state, self.agent)
        if agent is None or agent.status == "removed":
            raise AgentNotFound
        return agent.id

    def result(self, state: TenantState, _events: Sequence[Event]) -> MailAccount:
        return account_of(state, self._agent_id(state), Timestamp(0))


@record
class FreezeSending(OperatorCommand):
    caller: Principal
    agent: AgentRef
    detail: str | None = None

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        account = self._account(state, context)
        if account.frozen_at is not None:
            return []
        return [MailSendingFrozen(agent_id=account.id, reason="operator", detail=self.detail)]


@record
class ThawSending(OperatorCommand):
    caller: Principal
    agent: AgentRef
    detail: str | None = None

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        account = self._account(state, context)
        if account.frozen_at is None:
            return []
        return [MailSendingThawed(agent_id=account.id, detail=self.detail)]


@record
class SetMailTier(OperatorCommand):
    caller: Principal
    agent: AgentRef
    tier: Tier

    def decide(self, state: TenantState, context: DecisionContext) -> Sequence[Event]:
        account = self._account(state, context)
        return (
            [] if account.tier == self.tier else [MailTierSet(agent_id=account.id, tier=self.tier)]
        )


# -- Evolve ------------------------------------------------------------------


def evolve(state: MailAccount | None, event: Event, at: Timestamp) -> MailAccount:
    account = MailAccount(id=event.agent_id, created_at=at) if state is None else state
    match event:
        case MailPolicySet():
            policy = MailPolicy(mode=event.mode, allow=event.allow, block=event.block)
            return changed(account, policy=policy)
        case MailSendingFrozen():
            return changed(account, frozen_at=at, frozen_reason=event.reason)
        case MailSendingThawed():  # The outcomes that led to the freeze no longer count.
            return changed(account, frozen_at=None, frozen_reason=None, outcomes="")
        case MailTierSet():
            return changed(account, tier=event.tier)
        case _:
            assert_never(event)


def counted_send(state: MailAccount | None, agent_id: str, at: Timestamp) -> MailAccount:
    account = MailAccount(id=agent_id, created_at=at) if state is None else state
    use = sending_use(account, at)
    return changed(
        account,
        hour=at // MILLISECONDS_PER_HOUR,
        hour_used=use.hourly + 1,
        day=at // MILLISECONDS_PER_DAY,
        day_used=use.daily + 1,
        total_sent=account.total_sent + 1,
    )


def with_outcome(account: MailAccount, outcome: str) -> MailAccount:
    """Return the account after one more outcome of mail to a person: GOOD or BAD."""
    return changed(account, outcomes=(account.outcomes + outcome)[-REPUTATION_WINDOW:])


def has_lost_reputation(account: MailAccount) -> bool:
    return len(account.outcomes) >= REPUTATION_OUTCOMES_MIN and account.reputation < REPUTATION_MIN


MAIL_ACCOUNTS: Aggregate[MailAccount] = Aggregate(
    name="mail_account",
    events=get_args(Event),
    stream=lambda event: f"mailbox-{event.agent_id.removeprefix('agent_')}",
    commands=(SetMailPolicy, FreezeSending, ThawSending, SetMailTier),
    id_of=lambda event: event.agent_id,
    evolve=evolve,
)
