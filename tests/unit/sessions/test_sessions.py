"""Sessions and their messages: indexes, replies, branches, reads, values, quotas and deletion."""

from typing import Any

from quorate.domain.identity.agent_departures import RemoveAgent
from quorate.domain.identity.agents import AgentRef
from quorate.domain.sessions import session_errors as errors
from quorate.domain.sessions.policies import (
    Policy,
    SessionAccessDenied,
    SessionRule,
    SessionSendDenied,
)
from quorate.domain.sessions.presets import Restrictions
from quorate.domain.sessions.session_commands import (
    BranchSession,
    CreateSession,
    DeleteOrphanedSession,
    DeleteSession,
)
from quorate.domain.sessions.session_messages import SESSION_MESSAGES, SessionRole
from quorate.domain.sessions.session_sending import (
    EraseDeletedSession,
    EraseSessionMessage,
    MarkSessionRead,
    SendToSession,
)
from quorate.domain.sessions.session_value_commands import DeleteSessionValues, SetSessionValue
from quorate.domain.sessions.sessions import (
    SESSIONS,
    find_session,
    history_before,
    main_session_id,
)
from quorate.domain.shared.contents import SALT_BYTES, Content
from quorate.domain.shared.quotas import UNLIMITED, QuotaExceeded, Quotas
from quorate.domain.shared.state import Command
from tests.unit.support.sample_commands import ITSELF, deregister, id_of, key_of, register
from tests.unit.support.specification import NOON, Outcome, Scenario, after

BOB = "agent:bob:main"


def agents(*names: str, quotas: Quotas = UNLIMITED) -> Scenario:
    scenario = Scenario(quotas=quotas)
    for name in names:
        scenario.execute(register(name), NOON)
    return scenario


def run(scenario: Scenario, command: Command) -> Outcome:
    return scenario.execute(command, scenario.now)


def rejection(scenario: Scenario, command: Command) -> type[Exception] | None:
    found = run(scenario, command).rejection
    return None if found is None else found.kind


def by(name: str, rule: SessionRule | None = None) -> dict[str, Any]:
    policies = () if rule is None else (Policy(sessions=rule),)
    return {
        "caller": key_of(name),
        "agent": ITSELF,
        "restrictions": Restrictions(policies=policies),
    }


def body(id_: str, text: str = "hello") -> Content:
    return Content(id=id_, part="text", salt=b"s" * SALT_BYTES, data=text.encode())


def send(
    name: str,
    key: str,
    id_: str,
    *,
    to: str | None = None,
    role: SessionRole | None = None,
    rule: SessionRule | None = None,
) -> SendToSession:
    return SendToSession(**by(name, rule), key=key, body=body(id_), in_reply_to=to, role=role)


def create(name: str, key: str, id_: str) -> CreateSession:
    return CreateSession(**by(name), key=key, new_session_id=id_)


def branch(name: str, key: str, id_: str, fork_point: int | None = None) -> BranchSession:
    return BranchSession(
        **by(name),
        source_key=key,
        new_key=f"session:{id_}",
        new_session_id=id_,
        label="b",
        fork_point=fork_point,
    )


def test_messages_have_indexes_without_gaps() -> None:
    scenario = agents("ann", "bob")
    for number, name in enumerate(("ann", "bob", "ann")):
        sent = run(scenario, send(name, BOB, f"m{number}")).result
        assert (sent.message.index, sent.session.message_count) == (number, number + 1)
    session = find_session(scenario.tenant_state, BOB)
    assert session is not None
    assert (session.unread, session.version, session.owner_id) == (2, 4, id_of("bob"))


def test_only_the_first_answer_of_the_owner_is_the_reply() -> None:
    scenario = agents("ann", "bob", "cat")
    run(scenario, send("ann", BOB, "m0"))
    run(scenario, send("cat", BOB, "m1", to="m0"))
    reply = run(scenario, send("bob", "agent:ann:main", "m2", to="m0")).decided[0]
    run(scenario, send("bob", BOB, "m3", to="m0"))

    assert scenario.tenant_state[SESSION_MESSAGES]["m0"].reply_id == "m2"
    assert (reply.answers, reply.asker_id) == ("m0", id_of("ann"))


def test_message_in_a_session_that_is_not_visible_cannot_be_answered() -> None:
    scenario = agents("ann", "bob", "cat")
    run(scenario, send("ann", BOB, "m0"))
    own = SessionRule()
    for id_ in ("m0", "unknown"):
        answer = send("cat", "agent:cat:main", "m1", to=id_, rule=own)
        assert rejection(scenario, answer) is errors.SessionMessageNotFound
    assert rejection(scenario, send("ann", "agent:ann:main", "m1", to="m0", rule=own)) is None


def test_policy_is_checked_before_existence_and_before_sending() -> None:
    scenario = agents("ann", "bob")
    rule = SessionRule(key_prefix="agent:bob:", can_send=False)
    for key, expected in (
        ("agent:ann:main", SessionAccessDenied),
        ("agent:ann:unknown", SessionAccessDenied),
        ("agent:bob:main", SessionSendDenied),
        ("agent:bob:unknown", SessionSendDenied),
    ):
        assert rejection(scenario, send("ann", key, "m", rule=rule)) is expected
    assert rejection(scenario, send("ann", "agent:bob:x", "m")) is errors.SessionNotFound


def test_preset_of_the_caller_is_read_in_the_transaction() -> None:
    scenario = agents("ann", "bob")
    command = SendToSession(
        caller=key_of("ann"),
        agent=ITSELF,
        restrictions=Restrictions(preset_names=("removed",)),
        key=BOB,
        body=body("m"),
    )
    assert rejection(scenario, command) is SessionAccessDenied


def test_role_is_for_the_owner() -> None:
    scenario = agents("ann", "bob")
    assert run(scenario, send("bob", BOB, "m0", role="system")).result.message.role == "system"
    assert rejection(scenario, send("ann", BOB, "m1", role="tool")) is errors.SessionRoleForbidden


def test_branch_of_a_branch_names_where_its_messages_are() -> None:
    scenario = agents("ann")
    main = "agent:ann:main"
    for number in range(3):
        run(scenario, send("ann", main, f"m{number}"))
    run(scenario, branch("ann", main, "b1", 2))
    run(scenario, send("ann", "session:b1", "own"))
    second = run(scenario, branch("ann", "session:b1", "b2")).result
    third = run(scenario, branch("ann", "session:b2", "b3", 1)).result
    empty = run(scenario, branch("ann", main, "b4", 0)).result

    source = main_session_id(id_of("ann"))
    assert second.history == ((source, 2), ("b1", 3))
    assert (second.message_count, second.first_index) == (3, 3)
    assert third.history == ((source, 1),)
    assert (empty.history, empty.message_count) == ((), 0)
    assert history_before(second, 0) == ()
    assert rejection(scenario, branch("ann", main, "b5", 4)) is errors.ForkPointTooLarge


def test_session_with_branches_is_deleted_by_force_only() -> None:
    scenario = agents("ann")
    run(scenario, create("ann", "session:a", "a"))
    run(scenario, branch("ann", "session:a", "b"))

    def delete(key: str, *, force: bool = False) -> DeleteSession:
        return DeleteSession(**by("ann"), key=key, force=force)

    assert rejection(scenario, delete("session:a")) is errors.SessionHasBranches
    assert rejection(scenario, delete("agent:ann:main", force=True)) is errors.MainSessionKept
    run(scenario, delete("session:b"))
    assert rejection(scenario, delete("session:a")) is None
    assert rejection(scenario, delete("session:a")) is errors.SessionNotFound


def test_deleted_session_is_erased_in_parts_and_frees_its_bytes() -> None:
    scenario = agents("ann")
    run(scenario, create("ann", "session:a", "a"))
    run(scenario, send("ann", "session:a", "m0"))
    value = SetSessionValue(
        **by("ann"), session_id="a", namespace="n", name="k", body=body("v0", "1")
    )
    run(scenario, value)
    assert scenario.tenant_state.count("session_bytes") == 1_024 + 256 + len("hello") + 1
    run(scenario, DeleteSession(**by("ann"), key="session:a"))
    erase = EraseDeletedSession(session_id="a", message_ids=("m0", "other"), value_ids=("v0",))
    assert len(run(scenario, erase).decided) == 2
    assert run(scenario, erase).decided == ()
    run(scenario, EraseDeletedSession(session_id="a"))
    assert run(scenario, EraseDeletedSession(session_id="a")).decided == ()
    assert scenario.tenant_state.count("session_bytes") == 0


def test_sessions_of_a_removed_agent_are_unknown_and_not_those_of_its_namesake() -> None:
    scenario = agents("ann", "bob")
    run(scenario, send("ann", BOB, "m0"))
    run(scenario, create("bob", "session:x", "x"))
    run(scenario, deregister("bob"))
    assert rejection(scenario, send("ann", BOB, "m1")) is None  # It keeps its sessions.
    run(scenario, RemoveAgent(agent_id=id_of("bob")))
    for key in (BOB, "session:x"):
        assert rejection(scenario, send("ann", key, "m2")) is errors.SessionNotFound
    assert rejection(scenario, create("ann", "session:x", "y")) is None
    deleted = run(scenario, DeleteOrphanedSession(session_id="x")).decided
    assert [one.reason for one in deleted] == ["agent_removed"]
    assert run(scenario, DeleteOrphanedSession(session_id="y")).decided == ()


def test_owner_reads_messages_of_others_once() -> None:
    scenario = agents("ann", "bob")
    run(scenario, send("ann", BOB, "m0"))
    run(scenario, send("bob", BOB, "m1"))
    mark = MarkSessionRead(**by("bob"), key=BOB, message_ids=("m0", "m1", "m0", "unknown"))
    read = run(scenario, mark)
    assert [one.message_id for one in read.decided] == ["m0"]
    assert (read.result, run(scenario, mark).decided) == (0, ())
    other = MarkSessionRead(**by("ann"), key=BOB, message_ids=("m0",))
    assert rejection(scenario, other) is errors.SessionNotOwned


def test_erased_message_stays_and_is_erased_once() -> None:
    scenario = agents("ann", "bob")
    run(scenario, send("ann", BOB, "m0"))
    erase = EraseSessionMessage(caller=key_of("ann"), message_id="m0")
    assert len(run(scenario, erase).decided) == 1
    session = find_session(scenario.tenant_state, BOB)
    assert session is not None
    assert session.unread == 0
    assert run(scenario, erase).decided == ()
    run(scenario, send("bob", BOB, "m1", to="m0"))
    message = scenario.tenant_state[SESSION_MESSAGES]["m0"]
    assert (message.reply_id, message.erased_at) == (None, NOON)


def test_values_belong_to_the_owner_and_replace_each_other() -> None:
    scenario = agents("ann", "bob")
    place: dict[str, Any] = {"session_id": main_session_id(id_of("ann")), "namespace": "n"}
    for number in range(2):
        value = body(f"v{number}", "x" * (number + 1))
        run(scenario, SetSessionValue(**by("ann"), **place, name="k", body=value))
    session = scenario.tenant_state[SESSIONS][place["session_id"]]
    assert (session.value_count, scenario.tenant_state.count("session_bytes")) == (1, 2)
    foreign = SetSessionValue(**by("bob"), **place, name="k", body=body("v2"))
    assert rejection(scenario, foreign) is errors.SessionNotFound
    deleted = run(scenario, DeleteSessionValues(**by("ann"), **place, name=None))
    assert deleted.result == 1


def test_quota_of_bytes_rejects_what_would_be_above_it() -> None:
    scenario = agents("ann", "bob", quotas=Quotas(session_bytes=300))
    assert rejection(scenario, send("ann", BOB, "m0")) is None
    assert rejection(scenario, send("ann", BOB, "m1")) is QuotaExceeded
    assert rejection(scenario, create("ann", "session:a", "a")) is QuotaExceeded


def test_tenant_key_acts_for_the_agent_that_it_names() -> None:
    scenario = agents("ann", "bob")
    named = {**by("ann"), "agent": AgentRef(name="ann")}
    sent = run(scenario, SendToSession(**named, key=BOB, body=body("m0"))).result
    assert sent.message.from_agent_id == id_of("ann")
    assert scenario.now < after(seconds=1)
