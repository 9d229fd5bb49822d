"""All spellings of an address have one key; an address without a unique key is rejected."""

# ruff: noqa: RUF001 - letters that look alike are what this is about.

import time
import unicodedata
from collections.abc import Callable

import idna
import pytest
from hypothesis import assume, example
from hypothesis import given as for_all
from hypothesis import strategies as st

from quorate.domain.shared.email_addresses import (
    ADDRESS_LENGTH_MAX,
    DOMAIN_LENGTH_MAX,
    LOCAL_LENGTH_MAX,
    AddressUnusable,
    contact,
)

SECONDS_MAX = 0.010  # For text of any length.
LONGEST_LABEL = "x" * 63


def to_a_labels(domain: str) -> str:
    return idna.encode(domain, uts46=True, transitional=False).decode()


def key(email: str) -> str:
    return contact(email, to_a_labels).key


def key_or_none(email: str) -> str | None:
    try:
        return key(email)
    except AddressUnusable:
        return None


# -- The same contact --------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("alice@example.com", "alice@example.com"),
        ("Alice@Example.COM", "alice@example.com"),
        ("ALICE@EXAMPLE.COM", "alice@example.com"),
        ("a@straße.de", "a@xn--strae-oqa.de"),
        ("a@STRAßE.de", "a@xn--strae-oqa.de"),
        ("a@straẞe.de", "a@xn--strae-oqa.de"),
        ("a@xn--strae-oqa.de", "a@xn--strae-oqa.de"),
        ("a@XN--STRAE-OQA.DE", "a@xn--strae-oqa.de"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@bu\u0308cher.example", "a@xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@example\u3002com", "a@example.com"),
        ("a@example\uff0ecom", "a@example.com"),
        ("a@\uff45\uff58\uff41mple.com", "a@example.com"),
        ("a@exa\u200bmple.com", "a@example.com"),
        ("a@exa\u00admple.com", "a@example.com"),
        ("a@\u212aate.com", "a@kate.com"),
        ("a@o\ufb03ce.com", "a@office.com"),
        ("a@пример.рф", "a@xn--e1afmkfd.xn--p1ai"),
        ("a@佐々木.jp", "a@xn--u6jy55gilq.jp"),
        ("a@さくらサーバ桜.jp", "a@xn--y8jl1nug5exk3756a.jp"),
        ("a@bücher24.de", "a@xn--bcher24-n2a.de"),
        ("a@müller-söhne.de", "a@xn--mller-shne-kcb9d.de"),
        ("a@aさサ漢.jp", "a@xn--a-08t2ny44s.jp"),
        ("a@서울abc漢.kr", "a@xn--abc-5q6gq116agbh.kr"),
        ("o'hara+news@example.co.uk", "o'hara+news@example.co.uk"),
        ("a.b-c_d@sub.example.com", "a.b-c_d@sub.example.com"),
        ("1@2.com", "1@2.com"),
    ],
)
def test_spellings_of_one_address_have_one_key(given: str, expected: str) -> None:
    assert key(given) == expected


def test_address_is_kept_as_given() -> None:
    assert contact("Alice@Example.COM", to_a_labels).email == "Alice@Example.COM"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a@straße.de", "a@strasse.de"),
        ("a+b@example.com", "a@example.com"),
        ("a.b@gmail.com", "ab@gmail.com"),
        ("a@example.com", "a@sub.example.com"),
        ("a@gmail.com", "a@googlemail.com"),
        ("a@apple.com", "a@аррӏе.com"),
        ("i@example.com", "l@example.com"),
    ],
)
def test_different_addresses_have_different_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


# -- Rejected addresses ------------------------------------------------------


@pytest.mark.parametrize(
    "email",
    [
        "\u212aate@example.com",
        "ka\u0301te@example.com",
        "káte@example.com",
        "o\ufb03ce@example.com",
        "\u017fam@example.com",
        "\uff41lice@example.com",
        "\u0131van@example.com",
        "\u0430lice@example.com",
        "al\u200bice@example.com",
        "al\u00adice@example.com",
        "\u202ealice@example.com",
    ],
)
def test_look_alike_local_part_is_rejected(email: str) -> None:
    assert key_or_none(email) is None


@pytest.mark.parametrize(
    "email",
    [
        "a@p\u0430ypal.com",
        "a@\u0440\u0430ypal.com",
        "a@раураl.com",
        "a@xn--l-7sba6dbr.com",
        "a@gοοgle.com",
        "a@exaмple.com",
        "a@\u202eexample.com",
        "a@exam\u2028ple.com",
        "a@\u2603.net",
        "a@xn--n3h.net",
        "a@xn--.com",
        "a@xn--a.com",
        "a@xn--bcher-kva-.com",
        "a@é..com",
        "a@é.com.",
        "a@\ud800.com",
        "a@é\ud800.com",
        "a@é\x00.com",
        "a@" + "é" * 60 + ".com",
    ],
)
def test_domain_with_mixed_scripts_or_invalid_name_is_rejected(email: str) -> None:
    assert key_or_none(email) is None


@pytest.mark.parametrize(
    "email",
    [
        "",
        "@",
        "alice",
        "alice@",
        "@example.com",
        "alice@@example.com",
        "alice@bob@example.com",
        '"alice"@example.com',
        '"alice bob"@example.com',
        "alice(comment)@example.com",
        "alice@example.com(comment)",
        "Alice <alice@example.com>",
        "<alice@example.com>",
        "mailto:alice@example.com",
        "alice@[127.0.0.1]",
        "alice@[IPv6:::1]",
        "alice@127.0.0.1",
        "alice@1.2",
        "alice@localhost",
        "alice@example.com.",
        "alice@.example.com",
        "alice@example..com",
        "alice@-example.com",
        "alice@example-.com",
        "alice@exam_ple.com",
        "alice@example.com/x",
        ".alice@example.com",
        "alice.@example.com",
        "al..ice@example.com",
        "percent%hack@relay.com",
        "bang!path@relay.com",
        "alice @example.com",
        " alice@example.com",
        "alice@example.com ",
        "alice@example.com\n",
        "alice@exam\tple.com",
        "al\tice@example.com",
        "alice\r\nBcc:x@example.com",
        "alice@example.com\r\nBcc:x",
        "al\x00ice@example.com",
        "alice@exam\x00ple.com",
        "al\x1bice@example.com",
        "alice,bob@example.com",
        "alice;bob@example.com",
        "a\\b@example.com",
        "alice@*.com",
        "alice@>",
        "\ud800@example.com",
    ],
)
def test_address_that_is_no_plain_mailbox_is_rejected(email: str) -> None:
    assert key_or_none(email) is None


@pytest.mark.parametrize(
    "email",
    [
        "x" * (LOCAL_LENGTH_MAX + 1) + "@example.com",
        f"a@{LONGEST_LABEL}x.com",
        "a@" + ".".join([LONGEST_LABEL] * 4),
        "x" * 10_000,
        "a@" + "a." * 126 + "com",
        # Short as written, too long in A-label form.
        "x" * LOCAL_LENGTH_MAX + "@" + "é." * 30 + "com",
    ],
)
def test_too_long_address_is_rejected(email: str) -> None:
    assert key_or_none(email) is None


@pytest.mark.parametrize(
    "email",
    [
        "x" * LOCAL_LENGTH_MAX + "@example.com",
        f"a@{LONGEST_LABEL}.com",
        "a@" + ".".join([LONGEST_LABEL] * 3) + "." + "x" * 60,
        "x" * LOCAL_LENGTH_MAX + "@" + ".".join(["x" * 46] * 4) + ".x",
    ],
)
def test_address_at_the_limit_is_accepted(email: str) -> None:
    assert len(email) <= ADDRESS_LENGTH_MAX
    assert key(email) == email


def test_limits_are_those_of_smtp() -> None:
    assert (ADDRESS_LENGTH_MAX, LOCAL_LENGTH_MAX, DOMAIN_LENGTH_MAX) == (254, 64, 253)


def test_rejection_gives_the_reason_without_the_address() -> None:
    with pytest.raises(AddressUnusable) as caught:
        key("secret words")

    assert caught.value.code == "contact_email_invalid"
    assert caught.value.details == {"why": "there is no @ in it"}


@pytest.mark.parametrize(
    "text",
    [
        "a@" + "a." * 25_000,
        "a@a" + ".a" * 25_000,
        "a." * 25_000 + "@a.com",
        "a" * 50_000,
        "@" * 50_000,
        "a@" + "é." * 25_000,
        "a@" + "é" * 50_000,
        "a@" + "a-" * 126,
        "a@" + "a." * 126,
        "." * ADDRESS_LENGTH_MAX,
        "a@" + "é" * 252,
        "a@" + "\u0308" * 252,
    ],
    ids=lambda text: f"{text[:6]}x{len(text)}",
)
def test_any_text_is_checked_quickly(text: str) -> None:
    def seconds() -> float:
        started = time.perf_counter()
        key_or_none(text)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(3)) < SECONDS_MAX


# -- Properties of all addresses -----------------------------------------------

LOCAL_LETTERS = "abcXYZ019.+-_'%!\"@ \u212a\u0131\u017féа"
DOMAIN_LETTERS = "abzAZ09-.-xnéßÉẞüпрπか々サ漢ـ\u0308\u200b\u200d\u00ad\u3002\u212a\ufb01ıſİ"
anything = st.text(max_size=80)
locals_ = st.text(LOCAL_LETTERS, min_size=1, max_size=8) | st.just("a")
domains = st.lists(st.text(DOMAIN_LETTERS, min_size=1, max_size=6), min_size=1, max_size=4).map(
    ".".join
) | st.text(max_size=20)
likely = st.builds("{}@{}".format, locals_, domains.map(lambda domain: f"{domain}.com"))
plain = st.from_regex(
    r"[A-Za-z0-9+_'-]{1,20}@[A-Za-z0-9]{1,20}(\.[A-Za-z]{2,5}){1,3}", fullmatch=True
)


@for_all(anything | likely)
@example("x" * LOCAL_LENGTH_MAX + "@" + "é." * 30 + "com")
def test_key_of_a_key_is_the_key(email: str) -> None:
    first = key_or_none(email)

    assert first is None or key_or_none(first) == first


@for_all(anything | likely)
def test_key_is_lower_case_ascii_of_limited_length(email: str) -> None:
    found = key_or_none(email) or "a@b.c"
    local, _, domain = found.rpartition("@")

    assert found.isascii()
    assert found == found.lower()
    assert found.isprintable()
    assert " " not in found
    assert 1 <= len(local) <= LOCAL_LENGTH_MAX
    assert len(domain) <= DOMAIN_LENGTH_MAX
    assert len(found) <= ADDRESS_LENGTH_MAX


@pytest.mark.parametrize("respelled", [str.upper, str.lower, str.title, str.swapcase])
@for_all(plain)
def test_key_ignores_case(respelled: Callable[[str], str], email: str) -> None:
    assert key(respelled(email)) == key(email)


@for_all(likely)
def test_key_of_a_domain_ignores_unicode_composition(email: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, email) for form in ("NFC", "NFD"))

    assume(email.rpartition("@")[0].isascii())
    assert key_or_none(composed) == key_or_none(decomposed)


@for_all(locals_.filter(lambda local: not local.isascii()), domains)
def test_local_part_is_ascii_only(local: str, domain: str) -> None:
    assert key_or_none(f"{local}@{domain}") is None
