"""Stored events stay readable: names, versions and encoding of every event type.

``golden/<Type>.v<version>.json`` contains the data of one event as it was stored when that version
was new, with every field. An optional field that came later without a new version has
``golden/<Type>.v<version>.<form>.json``. A new type, version or field needs a new file; existing
files are never changed.
"""

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.domain.coordination.consensus import ConsensusRequested, VoteCast
from quorate.domain.coordination.leases import LeaseReleased
from quorate.domain.identity.agents import AgentRegistered
from quorate.domain.mail.messages import Attachment
from quorate.domain.registry import EVENT_TYPES
from quorate.domain.shared.aggregates import Event
from quorate.domain.shared.contents import ContentRef
from quorate.domain.shared.timestamps import Timestamp, instant
from quorate.eventlog import serialization
from quorate.eventlog.serialization import (
    UnknownEvent,
    camel,
    canonical,
    decode,
    encode,
    read,
    upcast,
)
from tests.conformance.eventlog.conformance import Stage
from tests.support.paths import GOLDEN_EVENTS
from tests.unit.support.sample_commands import register
from tests.unit.support.specification import NOON

FOLDER = GOLDEN_EVENTS
GOLDEN = {path.stem: path for path in FOLDER.glob("*.v*.json")}
EXPECTED = {
    f"{type_}.v{version}"
    for type_, present in serialization.VERSIONS.items()
    for version in range(1, present + 1)
}
PRESENT = sorted(f"{type_}.v{version}" for type_, version in serialization.VERSIONS.items())
REGISTERED = (
    b'{"activeUntil":"2026-03-01T12:00:00.000Z","agentId":"a","agentName":"ann",'
    b'"agentRole":"r","incarnation":1}'
)


def golden(name: str) -> tuple[str, int, bytes]:
    type_, version = version_of(name).split(".v")
    return type_, int(version), GOLDEN[name].read_bytes().rstrip(b"\n")


def version_of(name: str) -> str:
    """Return type and version, without the form."""
    return ".".join(name.split(".")[:2])


# -- Golden files --------------------------------------------------------------


def test_every_version_of_every_type_has_a_golden_file() -> None:
    assert set(map(version_of, GOLDEN)) == EXPECTED, "a renamed type cannot be read any more"
    assert set(GOLDEN) >= EXPECTED


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_stored_events_can_be_read(name: str) -> None:
    type_, version, data = golden(name)

    assert type(decode(type_, version, data)) is EVENT_TYPES[type_]


@pytest.mark.parametrize("name", [item for item in GOLDEN if version_of(item) in PRESENT])
def test_current_version_is_stored_with_the_same_bytes(name: str) -> None:
    type_, version, data = golden(name)

    assert encode(decode(type_, version, data)) == data


@pytest.mark.parametrize("name", PRESENT)
def test_every_field_occurs_in_a_golden_file(name: str) -> None:
    type_, _, _ = golden(name)
    files = [orjson.loads(golden(item)[2]) for item in GOLDEN if version_of(item) == name]

    known = {camel(field.name) for field in fields(EVENT_TYPES[type_])}
    assert set().union(*files) == known


# -- Round trips ---------------------------------------------------------------

INSTANTS = st.integers(0, instant("9999-12-31T23:59:59.999Z")).map(Timestamp)
COUNTS = st.integers(0, 2**53 - 1)
NAMES = st.from_regex(r"[a-z]([a-z_]{0,10}[a-z])?", fullmatch=True)
FROM_HINT: Mapping[Any, st.SearchStrategy[Any]] = {
    Timestamp: INSTANTS,
    int: COUNTS,
    tuple[ContentRef, ...]: st.lists(st.builds(ContentRef, bytes=COUNTS), max_size=3).map(tuple),
    tuple[Attachment, ...]: st.lists(st.dictionaries(NAMES, COUNTS | st.text()), max_size=3).map(
        tuple
    ),
    tuple[int, ...]: st.lists(COUNTS, max_size=3).map(tuple),
    Mapping[str, bool | str]: st.dictionaries(NAMES, st.booleans() | st.text()),
    Mapping[str, Any]: st.dictionaries(NAMES, st.booleans() | st.text()),
}


def anything(hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - a type expression.
    if hint in FROM_HINT:
        return FROM_HINT[hint]
    if get_origin(hint) in {Union, UnionType}:
        return st.one_of([anything(option) for option in get_args(hint)])
    return st.from_type(hint)


def any_event(type_: type[Event]) -> st.SearchStrategy[Event]:
    return st.builds(
        type_, **{name: anything(hint) for name, hint in get_type_hints(type_).items()}
    )


ANY_EVENT = st.one_of([any_event(type_) for type_ in EVENT_TYPES.values()])
SEARCH = settings(deadline=None, derandomize=True, database=None, max_examples=25)


@pytest.mark.parametrize("type_", EVENT_TYPES.values(), ids=EVENT_TYPES)
def test_event_round_trips_through_json(type_: type[Event]) -> None:
    @SEARCH
    @given(any_event(type_))
    def search(event: Event) -> None:
        data = encode(event)
        assert decode(type_.__name__, serialization.VERSIONS[type_.__name__], data) == event
        assert canonical(orjson.loads(data)) == data

    search()


@SEARCH
@given(ANY_EVENT)
def test_stored_json_has_no_null_and_no_fraction(event: Event) -> None:
    """Absent fields are left out, and fractions have no portable encoding."""

    def plain(value: Any) -> bool:  # noqa: ANN401 - JSON.
        if isinstance(value, list | dict):
            inner = value.values() if isinstance(value, dict) else value
            return all(map(plain, inner))
        return isinstance(value, str | int)

    assert plain(orjson.loads(encode(event)))


def test_user_text_is_stored_unchanged() -> None:
    text = '\x00 "\\ \x1f \x7f é e\u0301 \u2028 \U0001f680 \ufeff'
    data = encode(VoteCast(vote_id="v", request_id="r", agent_id="a", vote="approve", reason=text))
    event = decode("VoteCast", 1, data)

    assert isinstance(event, VoteCast)
    assert event.reason == text


def test_json_has_sorted_keys_and_no_spaces() -> None:
    event = AgentRegistered(
        agent_id="a", agent_name="ann", agent_role="r", incarnation=1, active_until=NOON
    )

    assert encode(event) == REGISTERED


# -- Versions ------------------------------------------------------------------


def lift_role(data: dict[str, Any]) -> dict[str, Any]:
    """Simulate version 2 of AgentRegistered with an additional field."""
    return {**data, "agentRole": f"{data['agentRole']}, since version 2"}


@pytest.fixture
def version_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(serialization.VERSIONS, dict)
    assert isinstance(serialization.UPCASTERS, dict)
    monkeypatch.setitem(serialization.VERSIONS, "AgentRegistered", 2)
    monkeypatch.setitem(serialization.UPCASTERS, ("AgentRegistered", 1), lift_role)


@pytest.mark.usefixtures("version_2")
def test_old_version_is_upcast_when_read() -> None:
    event = decode("AgentRegistered", 1, REGISTERED)

    assert isinstance(event, AgentRegistered)
    assert event.agent_role == "r, since version 2"


@pytest.mark.usefixtures("version_2")
def test_current_version_is_not_upcast() -> None:
    event = decode("AgentRegistered", 2, REGISTERED)

    assert isinstance(event, AgentRegistered)
    assert event.agent_role == "r"


def test_old_version_is_upcast_step_by_step() -> None:
    steps = {("X", version): _noting(version) for version in (1, 2, 3)}
    upcast_data = upcast("X", 1, {}, upcasters=steps, versions={"X": 4})
    later = upcast("X", 3, {}, upcasters=steps, versions={"X": 4})

    assert (upcast_data["steps"], later["steps"]) == ([1, 2, 3], [3])


def _noting(version: int) -> serialization.Upcaster:
    return lambda data: {**data, "steps": [*data.get("steps", []), version]}


async def test_stored_event_is_not_rewritten(stage: Stage, request: pytest.FixtureRequest) -> None:
    """Old and new versions coexist in one chain."""
    await stage.execute(register("ann"))
    request.getfixturevalue("version_2")
    await stage.execute(register("bob"))

    old, new = await stage.events()
    assert (old.version, new.version) == (1, 2)
    await stage.log.verify_range(0, 2)
    event = decode(old.type, old.version, old.data)
    assert isinstance(event, AgentRegistered)
    assert event.agent_role == "general, since version 2"


@pytest.mark.parametrize(
    ("type_", "version"),
    [("AgentPromoted", 1), ("AgentRegistered", 2), ("AgentRegistered", 0), ("AgentRegistered", -1)],
)
def test_newer_event_stops_the_reader(type_: str, version: int) -> None:
    with pytest.raises(UnknownEvent, match=type_):
        decode(type_, version, REGISTERED)


def test_missing_upcaster_stops_the_reader() -> None:
    with pytest.raises(UnknownEvent, match="version 2"):
        upcast("X", 1, {}, upcasters={("X", 1): dict}, versions={"X": 3})


def test_unknown_fields_are_ignored() -> None:
    data = orjson.loads(REGISTERED) | {"agentMood": "sunny"}

    assert read("AgentRegistered", 1, data) == decode("AgentRegistered", 1, REGISTERED)


def test_absent_field_reads_as_none() -> None:
    _, _, data = golden("ConsensusRequested.v1")
    known = orjson.loads(data)
    for name in ("floor", "members"):
        del known[name]
    event = read("ConsensusRequested", 1, known)

    assert isinstance(event, ConsensusRequested)
    assert (event.floor, event.members) == (None, None)


def test_release_without_contenders_reads_as_none() -> None:
    type_, version, data = golden("LeaseReleased.v1")
    event = decode(type_, version, data)

    assert isinstance(event, LeaseReleased)
    assert (event.contact_email, event.contenders) == (None, None)
