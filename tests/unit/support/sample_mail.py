"""Sample commands of mail. Agents have the addresses of ``sample_commands``' names."""

from collections.abc import Sequence
from typing import Any

from quorate.domain.identity.agents import AgentRef
from quorate.domain.identity.principals import Principal
from quorate.domain.mail.accounts import (
    FreezeSending,
    MailAccount,
    MailPolicy,
    Mode,
    SetMailPolicy,
    SetMailTier,
    ThawSending,
    account_of,
)
from quorate.domain.mail.addresses import parse_recipients
from quorate.domain.mail.deliveries import delivery_id
from quorate.domain.mail.delivery_attempts import RecordFailure
from quorate.domain.mail.mailbox import DeleteMessage
from quorate.domain.mail.messages import EraseMessage
from quorate.domain.mail.receiving import ReceiveMessage
from quorate.domain.mail.sending import SendMessage
from quorate.domain.mail.settings import MailSettings, RetryPolicy, Tier
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.quotas import UNLIMITED, Quotas
from quorate.runtime.domain_names import to_a_labels
from tests.unit.support.sample_commands import ITSELF, TENANT_KEY, id_of, key_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario

DOMAIN = "acme.agents.localhost"
RELAYED = MailSettings(domain=DOMAIN, has_relay=True)
HELD = MailSettings(domain=DOMAIN)
POLICY = RetryPolicy()
KIM_MAIL, LEE_MAIL = "Kim@example.com", "lee@example.com"


def address_of(name: str) -> str:
    return f"{name}@{DOMAIN}"


def body(message: str, text: str = "hello", part: str = "text") -> tuple[Content, ...]:
    return (Content(id=message, part=part, salt=b"s" * SALT_BYTES, data=text.encode()),)


def mail(
    sender: str,
    *to: str,
    message: str = "msg_1",
    text: str = "hello",
    subject: str = "Hi",
    settings: MailSettings = RELAYED,
    cc: Sequence[str] = (),
    by: Principal | None = None,
    **more: Any,  # noqa: ANN401 - of the command.
) -> SendMessage:
    """Send to agents by name, and to people by address."""
    named_to, named_cc = (
        [one if "@" in one else address_of(one) for one in some] for some in (to, cc)
    )
    return SendMessage(
        caller=by or key_of(sender),
        agent=AgentRef(name=sender) if by else ITSELF,
        recipients=parse_recipients(named_to, named_cc, DOMAIN, to_a_labels),
        subject=subject,
        body=body(message, text),
        settings=settings,
        new_message_id=message,
        new_thread_id=f"thr_{message}",
        **more,
    )


def incoming(
    *to: str,
    message: str = "msg_in",
    sender: str = "kim@example.com",
    rfc_id: str | None = "1@example.com",
    text: str = "hello",
    **more: Any,  # noqa: ANN401 - of the command.
) -> ReceiveMessage:
    addressed = tuple([one if "@" in one else address_of(one) for one in to])
    return ReceiveMessage(
        recipients=parse_recipients(addressed, (), DOMAIN, to_a_labels),
        from_address=sender,
        to=addressed,
        cc=(),
        subject=more.pop("subject", "Hi"),
        body=body(message, text),
        settings=more.pop("settings", RELAYED),
        new_message_id=message,
        new_thread_id=f"thr_{message}",
        rfc_message_id=rfc_id,
        **more,
    )


def marks(kind: type[Any], name: str, message: str = "msg_1", **more: Any) -> Any:  # noqa: ANN401
    """Return a command of ``mailbox.py`` for the agent's own mailbox."""
    return kind(caller=key_of(name), agent_id=id_of(name), message_id=message, **more)


def delete(name: str, message: str = "msg_1") -> DeleteMessage:
    return marks(DeleteMessage, name, message)  # type: ignore[no-any-return]


def erase(message: str = "msg_1") -> EraseMessage:
    return EraseMessage(caller=TENANT_KEY, message_id=message)


def accept_mail(
    name: str, mode: Mode = "open", allow: Sequence[str] = (), block: Sequence[str] = ()
) -> SetMailPolicy:
    policy = MailPolicy(mode=mode, allow=tuple(allow), block=tuple(block))
    return SetMailPolicy(caller=key_of(name), agent=ITSELF, policy=policy)


def set_tier(name: str, tier: Tier) -> SetMailTier:
    return SetMailTier(caller=TENANT_KEY, agent=AgentRef(id=id_of(name)), tier=tier)


def freeze(name: str) -> FreezeSending:
    return FreezeSending(caller=TENANT_KEY, agent=AgentRef(id=id_of(name)))


def thaw(name: str) -> ThawSending:
    return ThawSending(caller=TENANT_KEY, agent=AgentRef(id=id_of(name)))


def of_delivery(
    kind: type[Any],
    message: str = "msg_1",
    number: int = 0,
    **more: Any,  # noqa: ANN401 - of the command.
) -> Any:  # noqa: ANN401 - of that kind.
    """Return a command of ``delivery_attempts.py`` for one recipient of a message."""
    return kind(message_id=message, delivery_id=delivery_id(message, number), **more)


def fail(
    message: str = "msg_1",
    *,
    permanent: bool = False,
    policy: RetryPolicy = POLICY,
    **more: Any,  # noqa: ANN401
) -> RecordFailure:
    return of_delivery(  # type: ignore[no-any-return]
        RecordFailure, message, is_permanent=permanent, policy=policy, **more
    )


def agents_with_mail(*names: str, quotas: Quotas = UNLIMITED) -> Scenario:
    """Return a tenant with these agents, registered at noon."""
    scenario = Scenario(quotas=quotas)
    for name in names:
        scenario.execute(register(name), NOON)
    return scenario


def account_in(scenario: Scenario, name: str) -> MailAccount:
    return account_of(scenario.tenant_state, id_of(name), NOON)


def statuses(outcome: Outcome) -> dict[str, tuple[str, str | None]]:
    """Return status and reason by address, of a message that was sent."""
    assert outcome.rejection is None, outcome.rejection
    return {one.address: (one.status, one.reason) for one in outcome.result.recipients}


def kinds(outcome: Outcome) -> list[str]:
    return [type(one).__name__ for one in outcome.events]
