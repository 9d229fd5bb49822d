"""Resolution of the service, key and agent from several sources."""

import json
import re
from pathlib import Path

import pytest

from quorate.cli.connection.profiles import Context, update_contexts
from quorate.cli.connection.resolve import (
    Service,
    TargetOptions,
    TargetSources,
    resolve_agent,
    resolve_target,
)
from quorate.cli.output.errors import NOT_FOUND, UNAUTHORIZED, USAGE, Failure
from quorate.domain.identity.agents import AgentRef

HERE = "http://127.0.0.1:8420"
THERE = "https://quorate.example"
AGENT_ID = "agent_01a1fbc1-36f0-79f9-bac1-740671c3e2e9"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """The data directory of a local service."""
    return write_credentials(tmp_path / "data", HERE)


def write_credentials(data_dir: Path, url: str) -> Path:
    data_dir.mkdir()
    known = {"url": url, "natsUrl": "nats://n", "apiKey": "stored", "adminKey": "admin"}
    (data_dir / "credentials.json").write_text(json.dumps(known))
    return data_dir


def add_context(name: str, context: Context, *, use: bool = False) -> None:
    update_contexts(
        lambda known: known.with_context(name, context).using(name if use else known.current)
    )


def resolve(
    data_dir: Path,
    command_line: TargetOptions | None = None,
    environment: TargetOptions | None = None,
    *,
    as_operator: bool = False,
) -> Service:
    sources = TargetSources(
        command_line=command_line or TargetOptions(),
        environment=environment or TargetOptions(),
        default_data_dir=data_dir,
    )
    return resolve_target(sources, as_operator=as_operator)


def url_and_key(service: Service) -> tuple[str, str]:
    return service.url, service.api_key


# -- Precedence -------------------------------------------------------------------


def test_local_service_is_found_without_options(data_dir: Path) -> None:
    service = resolve(data_dir)

    assert url_and_key(service) == (HERE, "stored")
    assert service.nats_url == "nats://n"
    assert str(data_dir) in service.url_from


def test_current_context_overrides_the_local_service(data_dir: Path) -> None:
    add_context("there", Context(url=THERE, api_key="theirs"), use=True)

    assert url_and_key(resolve(data_dir)) == (THERE, "theirs")


def test_context_without_use_has_no_effect(data_dir: Path) -> None:
    add_context("there", Context(url=THERE, api_key="theirs"))

    assert url_and_key(resolve(data_dir)) == (HERE, "stored")


def test_environment_overrides_the_current_context(data_dir: Path) -> None:
    add_context("there", Context(url=THERE, api_key="theirs"), use=True)

    assert url_and_key(
        resolve(data_dir, environment=TargetOptions(url="http://e", api_key="e"))
    ) == (
        "http://e",
        "e",
    )
    assert url_and_key(resolve(data_dir, environment=TargetOptions(data_dir=data_dir))) == (
        HERE,
        "stored",
    )


def test_command_line_overrides_the_environment(data_dir: Path, tmp_path: Path) -> None:
    add_context("there", Context(url=THERE, api_key="theirs"))
    other = write_credentials(tmp_path / "other", "http://other")
    exported = TargetOptions(url="http://e", api_key="e")

    assert url_and_key(resolve(data_dir, TargetOptions(context="there"), exported)) == (
        THERE,
        "theirs",
    )
    assert url_and_key(resolve(data_dir, TargetOptions(data_dir=other), exported)) == (
        "http://other",
        "stored",
    )
    assert url_and_key(resolve(data_dir, TargetOptions(url="http://t", api_key="t"), exported)) == (
        "http://t",
        "t",
    )


def test_key_and_url_may_come_from_different_sources(data_dir: Path) -> None:
    assert url_and_key(resolve(data_dir, environment=TargetOptions(api_key="mine"))) == (
        HERE,
        "mine",
    )
    assert url_and_key(
        resolve(data_dir, TargetOptions(api_key="typed"), TargetOptions(url="http://e"))
    ) == (
        "http://e",
        "typed",
    )


def test_context_reads_its_data_directory_at_each_call(data_dir: Path) -> None:
    add_context("local", Context(data_dir=str(data_dir)), use=True)
    nowhere = data_dir / "nothing"

    assert url_and_key(resolve(nowhere)) == (HERE, "stored")
    known = json.loads((data_dir / "credentials.json").read_text())
    (data_dir / "credentials.json").write_text(json.dumps({**known, "url": "http://moved"}))
    assert url_and_key(resolve(nowhere)) == ("http://moved", "stored")


# -- Stored keys ------------------------------------------------------------------


@pytest.mark.parametrize("place", ["typed", "exported"])
def test_stored_key_is_not_sent_to_another_url(data_dir: Path, place: str) -> None:
    options = TargetOptions(url="http://elsewhere")

    with pytest.raises(Failure, match=f"belongs to {re.escape(HERE)}") as caught:
        resolve(data_dir, options) if place == "typed" else resolve(data_dir, environment=options)

    assert caught.value.exit_code == UNAUTHORIZED


def test_context_key_is_not_sent_to_another_url(data_dir: Path) -> None:
    add_context("there", Context(url=THERE, api_key="theirs"), use=True)

    with pytest.raises(Failure, match="The key of context there belongs to"):
        resolve(data_dir / "nothing", TargetOptions(url="http://elsewhere"))


def test_stored_key_is_used_for_its_own_url_from_any_source(data_dir: Path) -> None:
    assert url_and_key(resolve(data_dir, TargetOptions(url=HERE + "/"))) == (HERE + "/", "stored")


def test_context_without_key_uses_the_environment_key(data_dir: Path) -> None:
    add_context("there", Context(url=THERE, agent="mailer"), use=True)

    service = resolve(data_dir, environment=TargetOptions(api_key="exported"))

    assert url_and_key(service) == (THERE, "exported")
    assert service.agent == "mailer"
    with pytest.raises(Failure) as caught:
        resolve(data_dir)
    assert f"for {THERE}" in caught.value.hint


# -- Acting agent -----------------------------------------------------------------


def test_agent_comes_from_option_environment_or_context(data_dir: Path) -> None:
    add_context("local", Context(data_dir=str(data_dir), agent="remembered"), use=True)

    remembered = resolve(data_dir)
    exported = resolve(data_dir, environment=TargetOptions(agent="exported"))

    assert resolve_agent(remembered, None, None) == AgentRef(name="remembered")
    assert resolve_agent(exported, None, None) == AgentRef(name="exported")
    assert resolve_agent(exported, None, "typed") == AgentRef(name="typed")
    assert resolve_agent(exported, AGENT_ID, None) == AgentRef(id=AGENT_ID)


def test_environment_may_hold_an_agent_id(data_dir: Path) -> None:
    service = resolve(data_dir, environment=TargetOptions(agent=AGENT_ID))

    assert resolve_agent(service, None, None) == AgentRef(id=AGENT_ID)


def test_unnamed_agent_gives_an_empty_reference(data_dir: Path) -> None:
    assert resolve_agent(resolve(data_dir), None, None) == AgentRef()


def test_context_agent_is_ignored_with_another_key(data_dir: Path) -> None:
    add_context("local", Context(data_dir=str(data_dir), agent="remembered"), use=True)

    assert resolve(data_dir, environment=TargetOptions(api_key="another")).agent is None


# -- Operators --------------------------------------------------------------------


def test_operator_uses_the_admin_key_of_the_local_service(data_dir: Path) -> None:
    assert url_and_key(resolve(data_dir, as_operator=True)) == (HERE, "admin")
    assert url_and_key(
        resolve(data_dir, environment=TargetOptions(api_key="e"), as_operator=True)
    ) == (
        HERE,
        "admin",
    )


def test_admin_key_precedence_is_option_environment_file(data_dir: Path) -> None:
    exported = TargetOptions(admin_key="exported")

    assert url_and_key(resolve(data_dir, None, exported, as_operator=True)) == (HERE, "exported")
    assert url_and_key(
        resolve(data_dir, TargetOptions(api_key="typed"), exported, as_operator=True)
    ) == (
        HERE,
        "typed",
    )


def test_admin_key_is_not_sent_to_another_url(data_dir: Path) -> None:
    elsewhere = TargetOptions(url="http://elsewhere", api_key="theirs")

    assert url_and_key(resolve(data_dir, environment=elsewhere, as_operator=True))[1] == "theirs"


def test_admin_key_alone_is_sufficient(data_dir: Path) -> None:
    exported = TargetOptions(url="http://e", admin_key="admin")

    assert url_and_key(resolve(data_dir, environment=exported, as_operator=True)) == (
        "http://e",
        "admin",
    )


# -- Missing or invalid values ----------------------------------------------------


def test_missing_service_error_names_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(Failure) as caught:
        resolve(tmp_path)

    assert caught.value.exit_code == USAGE
    assert str(tmp_path) in caught.value.message
    assert "quorate serve" in caught.value.hint
    assert "QUORATE_URL" in caught.value.hint


def test_unknown_context_error_lists_existing_contexts(data_dir: Path) -> None:
    add_context("there", Context(url=THERE))

    with pytest.raises(
        Failure, match="Context nowhere not found; existing contexts: there"
    ) as caught:
        resolve(data_dir, TargetOptions(context="nowhere"))

    assert caught.value.exit_code == NOT_FOUND


@pytest.mark.parametrize("text", ["{", "[]", '{"contexts": []}', '{"contexts": {"a": {"url": 1}}}'])
def test_invalid_context_file_fails_only_when_needed(
    data_dir: Path, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "config" / "quorate" / "contexts.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(Failure, match="repair or remove it"):
        resolve(data_dir)
    assert (
        url_and_key(resolve(data_dir, environment=TargetOptions(url="http://e", api_key="e")))[0]
        == "http://e"
    )
