"""Tell recipients inside the sender's tenant from recipients outside.

* Internal is an address in the sender's own mail domain, in every spelling of it, and nothing else.
  The domain of another tenant is external: an answer never shows which tenants and agents exist.
* An internal address names an agent, ``<name>@<domain>`` or ``<id>@<domain>``, in any case.
* An external address is a contact: the rules of ``domain/shared/email_addresses.py`` apply, so a
  recipient and a lease on it have the same key in every spelling.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from quorate.domain.identity.agents import name_key
from quorate.domain.shared.email_addresses import (
    ADDRESS_LENGTH_MAX,
    LOCAL_LENGTH_MAX,
    AddressUnusable,
    EmailAddress,
    contact,
)
from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import record

RECIPIENTS_MAX = 10
Field: TypeAlias = Literal["to", "cc"]
TO: Field = "to"
CC: Field = "cc"
_AGENT_ID_PREFIX = "agent_"
_PLAIN = re.compile("[A-Za-z0-9._-]+")


@dataclass(eq=False)
class RecipientInvalid(Invalid):
    """The text is not one plain address, such as ``kim@example.com``."""

    code, title = "recipient_invalid", "Invalid recipient address"
    reason = "{why}"
    address: str
    why: str


@dataclass(eq=False)
class TooManyRecipients(Invalid):
    """A message has 1 to 10 recipients; a thread has a limit of participants as well."""

    code, title = "too_many_recipients", "Too many recipients"
    reason = "the limit is {limit}"
    limit: int


@record
class Recipient:
    """One recipient: ``local`` names an agent of the tenant, or ``contact`` is outside."""

    address: str
    field: Field
    local: str | None = None
    contact: EmailAddress | None = None

    @property
    def agent_id(self) -> str | None:
        """Return the local part if it has the form of an agent's id."""
        if self.local is None or not self.local.startswith(_AGENT_ID_PREFIX):
            return None
        return self.local


def agent_address(name: str, domain: str) -> str:
    """Return the address of an agent, in lower case: the one form that is stored and compared."""
    return f"{name_key(name)}@{domain}"


def parse_recipients(
    to: Iterable[str], cc: Iterable[str], domain: str, to_a_labels: Callable[[str], str]
) -> Sequence[Recipient]:
    """Return the recipients in their order, each once. ``domain`` is that of the sender."""
    found: dict[str, Recipient] = {}
    for field, addresses in ((TO, to), (CC, cc)):
        for text in addresses:
            one = parse_recipient(text, field, domain, to_a_labels)
            key = one.address if one.contact is None else one.contact.key
            found.setdefault(key, one)
    if not 1 <= len(found) <= RECIPIENTS_MAX:
        raise TooManyRecipients(RECIPIENTS_MAX)
    return list(found.values())


def parse_recipient(
    text: str, field: Field, domain: str, to_a_labels: Callable[[str], str]
) -> Recipient:
    local, at, its_domain = text.rpartition("@")
    if at and its_domain.isascii() and its_domain.lower() == domain:
        return _internal(text, local, field, domain)
    try:
        person = contact(text, to_a_labels)
    except AddressUnusable as error:
        raise RecipientInvalid(text[:ADDRESS_LENGTH_MAX], error.why) from error
    if person.key.endswith(f"@{domain}"):
        return _internal(text, local, field, domain)
    return Recipient(address=text, field=field, contact=person)


def _internal(text: str, local: str, field: Field, domain: str) -> Recipient:
    if not local or len(local) > LOCAL_LENGTH_MAX or not _is_plain(local):
        raise RecipientInvalid(text[:ADDRESS_LENGTH_MAX], "the part before @ names no agent")
    key = name_key(local)
    return Recipient(address=f"{key}@{domain}", field=field, local=key)


def _is_plain(local: str) -> bool:
    return _PLAIN.fullmatch(local) is not None
