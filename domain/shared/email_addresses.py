"""Normalize e-mail addresses: an address has one key in every spelling, and a contact is a key.

* The local part is an RFC 5322 dot-atom in ASCII, compared in lower case. ``%`` and ``!`` are
  rejected (they once routed mail elsewhere), and so are quotes, comments and non-ASCII letters:
  a look-alike must never get a second lease. ``a+b@x`` and ``a@x`` are two contacts.
* The domain is compared in its IDNA A-label form. The Unicode tables are passed in as
  ``to_a_labels``: the rule is here, its data are elsewhere.
* The key is computed once, when a request is parsed, and stored. Old events keep their keys.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from quorate.domain.shared.errors import Invalid
from quorate.domain.shared.records import record

ADDRESS_LENGTH_MAX = 254
LOCAL_LENGTH_MAX = 64
DOMAIN_LENGTH_MAX = 253

_LOCAL = re.compile(r"[a-z0-9#$&'*+/=?^_`{|}~-]+(?:\.[a-z0-9#$&'*+/=?^_`{|}~-]+)*")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_TOP_LEVEL_ALL_DIGITS = re.compile(r"\.[0-9]+\Z")
_PUNYCODE = "xn--"
# Scripts that are written together in everyday names (UTS 39, "highly restrictive").
_SCRIPTS_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
)


@dataclass(eq=False)
class AddressUnusable(Invalid):
    """The text is not an address with one unambiguous key."""

    code, title = "contact_email_invalid", "Invalid or ambiguous e-mail address"
    reason = "{why}"
    why: str


@record
class EmailAddress:
    """An address as the caller gave it, and the key by which it is compared."""

    email: str
    key: str


def contact(email: str, to_a_labels: Callable[[str], str]) -> EmailAddress:
    """Normalize an address or reject it; ``to_a_labels`` raises ValueError for no valid domain."""
    if len(email) > ADDRESS_LENGTH_MAX:
        raise AddressUnusable(f"longer than {ADDRESS_LENGTH_MAX} characters")
    local, at, domain = email.rpartition("@")
    if not at:
        raise AddressUnusable("there is no @ in it")
    key = f"{_local_key(local)}@{domain_key(domain, to_a_labels)}"
    if len(key) > ADDRESS_LENGTH_MAX:
        raise AddressUnusable(f"longer than {ADDRESS_LENGTH_MAX} characters in A-label form")
    return EmailAddress(email=email, key=key)


def _local_key(local: str) -> str:
    if len(local) > LOCAL_LENGTH_MAX:
        raise AddressUnusable(f"the part before @ exceeds {LOCAL_LENGTH_MAX} characters")
    if not local.isascii():
        raise AddressUnusable("the part before @ must be plain ASCII")
    key = local.lower()
    if not _LOCAL.fullmatch(key):
        raise AddressUnusable("the part before @ is not a plain mailbox name")
    return key


def domain_key(domain: str, to_a_labels: Callable[[str], str]) -> str:
    """Return the form in which domains are compared, or reject what is no domain name."""
    key = domain.lower()
    if not domain.isascii() or _PUNYCODE in key:
        try:
            key = to_a_labels(domain).lower()
            _reject_mixed_scripts(key)
        except ValueError as error:
            raise AddressUnusable("the domain is not a valid internationalised name") from error
    if len(key) > DOMAIN_LENGTH_MAX or not _DOMAIN.fullmatch(key):
        raise AddressUnusable("the part after @ is not a domain name")
    if _TOP_LEVEL_ALL_DIGITS.search(key):
        raise AddressUnusable("the part after @ looks like an IP address")
    return key


def _reject_mixed_scripts(domain: str) -> None:
    """Reject labels that mix scripts which are never written together: a look-alike."""
    for label in domain.split("."):
        if not label.startswith(_PUNYCODE):
            continue
        letters = label.removeprefix(_PUNYCODE).encode("ascii").decode("punycode")
        scripts = {_script(letter) for letter in letters if letter.isalpha()}
        if len(scripts) > 1 and not any(scripts <= allowed for allowed in _SCRIPTS_TOGETHER):
            raise AddressUnusable("the domain mixes letters of different scripts")


def _script(letter: str) -> str:
    """Return the first word of the Unicode name: the script of every letter in a domain name."""
    script = unicodedata.name(letter, "UNKNOWN").split()[0].split("-")[0]
    return "CJK" if script == "IDEOGRAPHIC" else script  # The mark that repeats a Han letter.
