"""Recipients inside the sender's own mail domain are agents; all others are people outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.domain.mail.addresses import (
    CC,
    RECIPIENTS_MAX,
    TO,
    Recipient,
    RecipientInvalid,
    TooManyRecipients,
    agent_address,
    parse_recipient,
    parse_recipients,
)
from quorate.runtime.domain_names import to_a_labels
from tests.unit.support.sample_mail import DOMAIN

FULLWIDTH_A = "\N{FULLWIDTH LATIN SMALL LETTER A}"
KELVIN = "\N{KELVIN SIGN}"
CYRILLIC_A = "\N{CYRILLIC SMALL LETTER A}"


def parse(text: str, domain: str = DOMAIN) -> Recipient:
    return parse_recipient(text, TO, domain, to_a_labels)


@pytest.mark.parametrize(
    "text",
    [
        f"ann@{DOMAIN}",
        f"ANN@{DOMAIN.upper()}",
        f"Ann@{DOMAIN.title()}",
        f"ann@{FULLWIDTH_A}{DOMAIN[1:]}",  # IDNA maps it to the same domain.
        f"ann@{DOMAIN.replace('.', chr(0x3002))}",  # So it does with an ideographic full stop.
    ],
)
def test_own_domain_in_every_spelling_is_internal(text: str) -> None:
    found = parse(text)
    assert (found.address, found.local, found.contact) == (f"ann@{DOMAIN}", "ann", None)


def test_id_of_an_agent_is_an_alias() -> None:
    assert parse(f"Agent_1-2@{DOMAIN}").agent_id == "agent_1-2"
    assert parse(f"ann@{DOMAIN}").agent_id is None


def test_own_domain_may_be_internationalised() -> None:
    found = parse("ann@bücher.example", domain="xn--bcher-kva.example")
    assert found.address == "ann@xn--bcher-kva.example"
    assert found.local == "ann"


@pytest.mark.parametrize(
    "text",
    [
        "ann@other.agents.localhost",  # Another tenant.
        "ann@agents.localhost",
        f"ann@sub.{DOMAIN}",
        f"ann@{DOMAIN}.example",
        f"ann@{DOMAIN.replace('l', '1')}",
        f"ann@x{DOMAIN}",
        f"ann@{DOMAIN.replace('acme', 'асме')}",  # All letters are Cyrillic.
    ],
)
def test_similar_domain_is_external(text: str) -> None:
    found = parse(text)
    assert found.local is None
    assert found.contact is not None
    assert not found.contact.key.endswith(f"@{DOMAIN}")


@pytest.mark.parametrize(
    "text",
    [
        *("", "ann", "@", f"@{DOMAIN}", "ann@", "ann@localhost", "ann@@example.com"),
        *(f"ann@{DOMAIN}.", "ann@example.com.", "ann@.example.com", "ann@example..com"),
        *(f"Ann <ann@{DOMAIN}>", "Kim <kim@example.com>", "kim@example.com, lee@example.com"),
        *(f'"ann"@{DOMAIN}', '"kim lee"@example.com', f"ann(x)@{DOMAIN}", "kim@[127.0.0.1]"),
        *(f"a b@{DOMAIN}", f"ann\n@{DOMAIN}", "kim\r\nBcc: x@example.com", f"ann+x@{DOMAIN}"),
        *(f"{KELVIN}im@{DOMAIN}", f"{CYRILLIC_A}nn@{DOMAIN}", f"{CYRILLIC_A}nn@example.com"),
        *(f"{'x' * 65}@{DOMAIN}", f"{'x' * 65}@example.com", f"a@{'x' * 250}.example.com"),
        f"ann@{CYRILLIC_A}{DOMAIN[1:]}",  # It mixes scripts.
        "kim%example.org@example.com",
    ],
)
def test_what_is_not_one_plain_address_is_rejected(text: str) -> None:
    with pytest.raises(RecipientInvalid) as rejected:
        parse(text)
    assert rejected.value.code == "recipient_invalid"
    assert text.startswith(rejected.value.address)


@given(st.one_of(st.text(), st.text().map(lambda text: f"{text}@{DOMAIN}")))
def test_no_text_is_accepted_with_a_look_alike_of_an_agent(text: str) -> None:
    try:
        found = parse(text)
    except RecipientInvalid:
        return
    if found.contact is None:
        assert found.address == f"{found.local}@{DOMAIN}"
        assert found.address.isascii()
        assert found.local == text.rpartition("@")[0].lower()
        assert text.rpartition("@")[0].isascii()


def parse_all(to: list[str], cc: list[str]) -> list[tuple[str, str]]:
    found = parse_recipients(to, cc, DOMAIN, to_a_labels)
    return [(one.address, one.field) for one in found]


def test_each_recipient_counts_once_where_it_is_first_named() -> None:
    found = parse_all(
        [f"ann@{DOMAIN}", f"ANN@{DOMAIN}", "Kim@example.com"],
        [f"ann@{DOMAIN}", "kim@EXAMPLE.com", f"bob@{DOMAIN}", "lee@bücher.example"],
    )
    assert found == [
        (f"ann@{DOMAIN}", TO),
        ("Kim@example.com", TO),
        (f"bob@{DOMAIN}", CC),
        ("lee@bücher.example", CC),
    ]


def test_to_and_cc_have_ten_recipients_together() -> None:
    many = [f"agent{number}@{DOMAIN}" for number in range(RECIPIENTS_MAX)]
    assert len(parse_all(many[:4], [*many[4:], many[0].upper()])) == RECIPIENTS_MAX

    with pytest.raises(TooManyRecipients) as rejected:
        parse_all(many, ["kim@example.com"])
    assert rejected.value.limit == RECIPIENTS_MAX


def test_message_has_a_recipient() -> None:
    with pytest.raises(TooManyRecipients):
        parse_all([], [])


def test_address_of_an_agent_has_one_form() -> None:
    assert agent_address("Ann", DOMAIN) == f"ann@{DOMAIN}"
