"""Find the contact that an e-mail address of a request identifies."""

from quorate.contracts.problems import Problem
from quorate.domain.shared.email_addresses import AddressUnusable, EmailAddress, contact
from quorate.runtime.domain_names import to_a_labels


def parse_contact_email(email: str) -> EmailAddress:
    """Return the contact; raises Problem if the address is invalid or ambiguous."""
    try:
        return contact(email, to_a_labels)
    except AddressUnusable as error:
        raise Problem(error.code, f"contactEmail: {error.why}.", why=error.why) from None
