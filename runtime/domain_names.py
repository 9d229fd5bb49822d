"""Encode domain names by UTS 46. Server and SDK must use the same rule: it decides lease keys."""

import idna


def to_a_labels(domain: str) -> str:
    """Return the IDNA A-labels of a domain, non-transitional, like browsers and mail servers.

    Raises IDNAError, a subclass of ValueError.
    """
    return idna.encode(domain, uts46=True, transitional=False, std3_rules=True).decode("ascii")
