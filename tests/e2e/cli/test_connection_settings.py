"""Which service is called, and as whom, when several places say something about it."""

import json
import re
from pathlib import Path

import pytest

from quorate.cli.connection.profiles import Context, change
from quorate.cli.connection.resolve import (
    Service,
    TargetOptions,
    TargetSources,
    called_service,
    who,
)
from quorate.cli.output.errors import NOT_FOUND, UNAUTHORIZED, Failure
from quorate.domain.identity.agents import AgentRef

HERE = "http://127.0.0.1:8420"
THERE = "https://quorate.example"
AGENT_ID = "agent_01a1fbc1-36f0-79f9-bac1-740671c3e2e9"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a local service."""
    return left_by_a_service(tmp_path / "data", HERE)


def left_by_a_service(folder: Path, url: str) -> Path:
    folder.mkdir()
    known = {"url": url, "natsUrl": "nats://n", "apiKey": "stored", "adminKey": "admin"}
    (folder / "credentials.json").write_text(json.dumps(known))
    return folder


def remember(name: str, context: Context, *, use: bool = False) -> None:
    change(lambda known: known.with_one(name, context).using(name if use else known.current))


def called(
    folder: Path,
    command_line: TargetOptions | None = None,
    environment: TargetOptions | None = None,
    *,
    as_operator: bool = False,
) -> Service:
    where = TargetSources(
        command_line=command_line or TargetOptions(),
        environment=environment or TargetOptions(),
        default_data_dir=folder,
    )
    return called_service(where, as_operator=as_operator)


def whom(service: Service) -> tuple[str, str]:
    return service.url, service.api_key


# -- What beats what --------------------------------------------------------------


def test_a_local_service_needs_no_words(folder: Path) -> None:
    service = called(folder)

    assert whom(service) == (HERE, "stored")
    assert service.nats_url == "nats://n"
    assert str(folder) in service.url_from


def test_the_context_in_use_beats_the_local_service(folder: Path) -> None:
    remember("there", Context(url=THERE, api_key="theirs"), use=True)

    assert whom(called(folder)) == (THERE, "theirs")


def test_a_context_that_is_not_in_use_is_only_known(folder: Path) -> None:
    remember("there", Context(url=THERE, api_key="theirs"))

    assert whom(called(folder)) == (HERE, "stored")


def test_the_environment_beats_the_context_in_use(folder: Path) -> None:
    remember("there", Context(url=THERE, api_key="theirs"), use=True)

    assert whom(called(folder, environment=TargetOptions(url="http://e", api_key="e"))) == (
        "http://e",
        "e",
    )
    assert whom(called(folder, environment=TargetOptions(data_dir=folder))) == (HERE, "stored")


def test_what_is_typed_beats_the_environment(folder: Path, tmp_path: Path) -> None:
    remember("there", Context(url=THERE, api_key="theirs"))
    other = left_by_a_service(tmp_path / "other", "http://other")
    exported = TargetOptions(url="http://e", api_key="e")

    assert whom(called(folder, TargetOptions(context="there"), exported)) == (THERE, "theirs")
    assert whom(called(folder, TargetOptions(data_dir=other), exported)) == (
        "http://other",
        "stored",
    )
    assert whom(called(folder, TargetOptions(url="http://t", api_key="t"), exported)) == (
        "http://t",
        "t",
    )


def test_a_key_may_come_from_elsewhere_than_the_address(folder: Path) -> None:
    assert whom(called(folder, environment=TargetOptions(api_key="mine"))) == (HERE, "mine")
    assert whom(called(folder, TargetOptions(api_key="typed"), TargetOptions(url="http://e"))) == (
        "http://e",
        "typed",
    )


def test_a_context_may_be_a_data_folder_which_is_read_anew(folder: Path) -> None:
    remember("local", Context(data_dir=str(folder)), use=True)
    nowhere = folder / "nothing"

    assert whom(called(nowhere)) == (HERE, "stored")
    known = json.loads((folder / "credentials.json").read_text())
    (folder / "credentials.json").write_text(json.dumps({**known, "url": "http://moved"}))
    assert whom(called(nowhere)) == ("http://moved", "stored")


# -- Keys stay at home ------------------------------------------------------------


@pytest.mark.parametrize("place", ["typed", "exported"])
def test_a_stored_key_is_not_sent_to_another_address(folder: Path, place: str) -> None:
    said = TargetOptions(url="http://elsewhere")

    with pytest.raises(Failure, match=f"belongs to {re.escape(HERE)}") as refused:
        called(folder, said) if place == "typed" else called(folder, environment=said)

    assert refused.value.exit_code == UNAUTHORIZED


def test_the_key_of_a_context_is_not_sent_to_another_address(folder: Path) -> None:
    remember("there", Context(url=THERE, api_key="theirs"), use=True)

    with pytest.raises(Failure, match="The key of context there belongs to"):
        called(folder / "nothing", TargetOptions(url="http://elsewhere"))


def test_a_stored_key_serves_its_own_address_however_that_was_said(folder: Path) -> None:
    assert whom(called(folder, TargetOptions(url=HERE + "/"))) == (HERE + "/", "stored")


def test_a_context_without_a_key_takes_one_from_the_environment(folder: Path) -> None:
    remember("there", Context(url=THERE, agent="mailer"), use=True)

    service = called(folder, environment=TargetOptions(api_key="exported"))

    assert whom(service) == (THERE, "exported")
    assert service.agent == "mailer"
    with pytest.raises(Failure, match=f"for {re.escape(THERE)}"):
        called(folder)


# -- Whom to act as ---------------------------------------------------------------


def test_the_agent_is_typed_or_exported_or_remembered(folder: Path) -> None:
    remember("local", Context(data_dir=str(folder), agent="remembered"), use=True)

    remembered = called(folder)
    exported = called(folder, environment=TargetOptions(agent="exported"))

    assert who(remembered, None, None) == AgentRef(name="remembered")
    assert who(exported, None, None) == AgentRef(name="exported")
    assert who(exported, None, "typed") == AgentRef(name="typed")
    assert who(exported, AGENT_ID, None) == AgentRef(id=AGENT_ID)


def test_an_agent_may_be_exported_by_its_id(folder: Path) -> None:
    service = called(folder, environment=TargetOptions(agent=AGENT_ID))

    assert who(service, None, None) == AgentRef(id=AGENT_ID)


def test_with_nobody_named_the_key_must_say_who(folder: Path) -> None:
    assert who(called(folder), None, None) == AgentRef()


def test_an_agent_that_a_context_remembers_is_not_meant_with_another_key(folder: Path) -> None:
    remember("local", Context(data_dir=str(folder), agent="remembered"), use=True)

    assert called(folder, environment=TargetOptions(api_key="another")).agent is None


# -- Operators --------------------------------------------------------------------


def test_operators_use_the_key_that_the_service_wrote_down(folder: Path) -> None:
    assert whom(called(folder, as_operator=True)) == (HERE, "admin")
    assert whom(called(folder, environment=TargetOptions(api_key="e"), as_operator=True)) == (
        HERE,
        "admin",
    )


def test_an_exported_operators_key_comes_first_and_a_typed_key_before_it(folder: Path) -> None:
    exported = TargetOptions(admin_key="exported")

    assert whom(called(folder, None, exported, as_operator=True)) == (HERE, "exported")
    assert whom(called(folder, TargetOptions(api_key="typed"), exported, as_operator=True)) == (
        HERE,
        "typed",
    )


def test_an_operators_key_is_not_sent_to_another_address_either(folder: Path) -> None:
    elsewhere = TargetOptions(url="http://elsewhere", api_key="theirs")

    assert whom(called(folder, environment=elsewhere, as_operator=True))[1] == "theirs"


def test_an_operators_key_is_enough_to_call_with(folder: Path) -> None:
    exported = TargetOptions(url="http://e", admin_key="admin")

    assert whom(called(folder, environment=exported, as_operator=True)) == ("http://e", "admin")


# -- When too little is known -----------------------------------------------------


def test_without_any_service_the_first_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="quorate serve") as refused:
        called(tmp_path)

    assert "QUORATE_URL" in refused.value.message
    assert str(tmp_path) in refused.value.message


def test_a_context_that_does_not_exist_is_told_with_those_that_do(folder: Path) -> None:
    remember("there", Context(url=THERE))

    with pytest.raises(Failure, match="no context nowhere; there are: there") as refused:
        called(folder, TargetOptions(context="nowhere"))

    assert refused.value.exit_code == NOT_FOUND


@pytest.mark.parametrize("text", ["{", "[]", '{"contexts": []}', '{"contexts": {"a": {"url": 1}}}'])
def test_what_is_spoiled_stands_in_the_way_only_of_those_who_need_it(
    folder: Path, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "config" / "quorate" / "contexts.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(Failure, match="mend or remove it"):
        called(folder)
    assert (
        whom(called(folder, environment=TargetOptions(url="http://e", api_key="e")))[0]
        == "http://e"
    )
