"""Equivalent addresses are one contact; ambiguous addresses are rejected."""

import json

import pytest

from tests.e2e.service.http_clients import (
    AGENT,
    CONSENSUS,
    COORDINATION,
    LEASE,
    Tenant,
    rejection,
)

KELVIN, LONG_S, DOTLESS_I, SHARP_S = "\u212a", "\u017f", "\u0131", "\u00df"

SAME = [
    ("Alice@Example.COM", "alice@example.com"),
    ("alice@EXAMPLE.com", "alice@example.com"),
    (f"x@stra{SHARP_S}e.de", "x@xn--strae-oqa.de"),
    ("x@STRA\u1e9eE.de", "x@xn--strae-oqa.de"),
    ("x@b\u00fccher.example", "x@xn--bcher-kva.example"),
    ("x@bu\u0308cher.example", "x@b\u00fccher.example"),  # Decomposed and composed.
    ("x@B\u00dcCHER.example", "x@xn--bcher-kva.example"),
    ("x@example\u3002com", "x@example.com"),  # The ideographic full stop.
    ("x@example\uff0ecom", "x@example.com"),
    ("x@\uff45xample.com", "x@example.com"),  # A full-width letter.
    ("x@exam\u00adple.com", "x@example.com"),  # UTS 46 ignores a soft hyphen.
    (f"x@{KELVIN}ate.example", "x@kate.example"),
]
DIFFERENT = [
    (f"x@stra{SHARP_S}e.de", "x@strasse.de"),
    ("a+b@example.com", "a@example.com"),
    ("a.b@gmail.com", "ab@gmail.com"),
    ("user@example.com", "user@mail.example.com"),
    ("user@example.com", "user@example.org"),
]
UNUSABLE = [
    *("plain", "@example.com", "user@", "user@example", "a@b@example.com", "user example.com"),
    *(f"{KELVIN}ate@example.com", f"{LONG_S}am@example.com", f"{DOTLESS_I}an@example.com"),
    *("jos\u00e9@example.com", "jose\u0301@example.com", "\ufb01ne@example.com"),
    *("\uff41lice@example.com", "\u0430lice@example.com", "al\u200bice@example.com"),
    *("user@ex\u200bample.com\u202e", "user@\u202eexample.com", "\u202euser@example.com"),
    *("user@example.com.", "user@.example.com", "user@example..com", "user@-example.com"),
    *("user@example.com\t", "\tuser@example.com", "us\ter@example.com", "user@exa\tmple.com"),
    *("user@example.com\r\nBcc: x@example.com", "user\r\n@example.com", "user@example.com\n"),
    *("user@example.com\u0000", "us\u0000er@example.com", " user@example.com", "us er@example.com"),
    *(
        "user@p\u0430ypal.com",
        "user@\u0440aypal.com",
        "user@xn--pypal-4ve.com",
    ),  # Cyrillic in Latin.
    *('"alice"@example.com', "alice(comment)@example.com", "Alice <alice@example.com>"),
    *("user@[127.0.0.1]", "user@127.0.0.1", "user@[IPv6:::1]", "<user@example.com>"),
    *("percent%hack@example.com", "bang!path@example.com", "a..b@example.com", ".a@example.com"),
    *("a.@example.com", "mailto:user@example.com", "user@exa_mple.com", "user@example,com"),
    *("x" * 65 + "@example.com", "x@" + "a" * 64 + ".com", "x@" + "a." * 125 + "com"),
    *("a@" + "a." * 20_000 + "com", "a" * 100_000, "a@a" * 10_000, "user@xn--.com"),
    *("user@xn--a-ecp.ru", "user@example.123", "user@123", "'; DROP TABLE leases; --@x"),
]


def shorten(address: str) -> str:
    return ascii(address[:40])


@pytest.mark.parametrize(("given", "equivalent"), SAME, ids=shorten)
async def test_equivalent_addresses_are_one_contact(
    tenant: Tenant, given: str, equivalent: str
) -> None:
    ann, bob = await tenant.register("ann"), await tenant.register("bob")
    lease = await tenant.lease(ann["id"], given)

    problem = rejection(await tenant.acquire(bob["id"], equivalent))

    assert problem["code"] == "lease_conflict"
    assert lease["contactEmail"] == given, "the address is stored unchanged"
    (found,) = await tenant.leases(contactEmail=equivalent)
    assert {**found, "contenders": None} == {**lease, "contenders": None}
    assert (await tenant.request_send(bob["id"], equivalent))["reason"] == "lease_conflict"
    (event,) = await tenant.events("LeaseAcquired")
    assert event["data"]["contactKey"].isascii()
    assert event["data"]["contactKey"] == event["data"]["contactKey"].lower()


@pytest.mark.parametrize(("one", "another"), DIFFERENT, ids=shorten)
async def test_different_addresses_are_different_contacts(
    tenant: Tenant, one: str, another: str
) -> None:
    ann, bob = await tenant.register("ann"), await tenant.register("bob")

    leases = [await tenant.lease(ann["id"], one), await tenant.lease(bob["id"], another)]

    assert len({lease["id"] for lease in leases}) == 2


async def test_ambiguous_address_is_rejected_by_every_operation(tenant: Tenant) -> None:
    ann = await tenant.register("ann")
    head = await tenant.head()
    for address in UNUSABLE:
        bodies = [
            (LEASE, {"agentId": ann["id"]}),
            (f"{AGENT}/request-send", {"agentId": ann["id"]}),
            (CONSENSUS, {"requestingAgentId": ann["id"], "action": "a", "reason": "r"}),
        ]
        for path, body in bodies:
            content = json.dumps({**body, "contactEmail": address})
            response = await tenant.request("POST", path, content=content)

            problem = rejection(response)
            if problem["status"] != 413:  # Longer than the largest request.
                assert problem["status"] == 422, shorten(address)
                assert problem["code"] in {"contact_email_invalid", "invalid_request"}
            assert len(response.content) < 1_000
    assert await tenant.head() == head
    assert await tenant.leases() == []


@pytest.mark.parametrize("address", ["plain", f"{KELVIN}ate@example.com", "a@b@c.de"], ids=shorten)
async def test_filter_by_an_invalid_contact_is_rejected(tenant: Tenant, address: str) -> None:
    response = await tenant.request(
        "GET", f"{COORDINATION}/leases", query={"contactEmail": address}
    )

    assert rejection(response)["code"] == "contact_email_invalid"


@pytest.mark.parametrize("value", [None, 7, True, [], {}, ["user@example.com"], ""], ids=repr)
async def test_contact_that_is_not_a_string_is_rejected(tenant: Tenant, value: object) -> None:
    ann = await tenant.register("ann")

    response = await tenant.request("POST", LEASE, {"agentId": ann["id"], "contactEmail": value})

    assert rejection(response)["status"] == 422
