"""Parse e-mail addresses and mail domains of requests and options."""

from quorate.contracts.problems import Problem
from quorate.domain.shared.email_addresses import (
    AddressUnusable,
    EmailAddress,
    contact,
    domain_key,
)
from quorate.runtime.domain_names import to_a_labels


def parse_contact_email(email: str) -> EmailAddress:
    """Return the contact; raises Problem if the address is invalid or ambiguous."""
    try:
        return contact(email, to_a_labels)
    except AddressUnusable as error:
        raise Problem(error.code, f"contactEmail: {error.why}.", why=error.why) from None


def parse_mail_domain(domain: str) -> str:
    """Return the form in which mail domains are compared; raises ValueError with the reason."""
    try:
        return domain_key(domain, to_a_labels)
    except AddressUnusable as error:
        raise ValueError(error.why) from None
