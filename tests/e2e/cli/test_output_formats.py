"""`-o table|wide|json|yaml`, `--json` and QUORATE_OUTPUT."""

import orjson
import pytest
import yaml  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from quorate.cli.output.yaml_text import to_yaml
from tests.e2e.cli.terminal import Terminal

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_yaml_has_the_value_of_the_json(value: object) -> None:
    assert yaml.safe_load(to_yaml(value)) == value


@pytest.mark.parametrize(
    "text", ["no", "Yes", "null", "~", "1", "1e3", "0x1f", "1:30", "2026-11-29", "- a", "a: b", "#"]
)
def test_text_that_looks_like_another_type_stays_text(text: str) -> None:
    assert yaml.safe_load(to_yaml({"key": text})) == {"key": text}


def test_yaml_is_readable() -> None:
    assert to_yaml({"name": "ann", "leases": [{"fence": 5, "tags": []}], "at": None}) == (
        "name: ann\nleases:\n  - fence: 5\n    tags: []\nat: null\n"
    )


def test_each_format_can_be_selected(tenant: Terminal) -> None:
    words = ("agents", "list")
    listed = tenant.run_json(*words)
    output = {name: tenant.run(*words, "-o", name).stdout for name in ("table", "wide", "yaml")}

    assert orjson.loads(tenant.run(*words, "-o", "json").stdout) == listed
    assert yaml.safe_load(output["yaml"]) == listed
    assert output["table"] == tenant.run(*words, "--no-json").stdout
    assert listed[0]["id"] not in output["table"]
    assert listed[0]["id"] in output["wide"]


def test_command_line_overrides_the_environment(
    tenant: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUORATE_OUTPUT", "yaml")

    assert tenant.run("agents", "list").stdout.startswith("- id:")
    assert tenant.run("agents", "list", "--json").stdout.startswith("[")
    assert tenant.run("agents", "list", "--no-json").stdout.startswith("Agents")
    assert tenant.run("agents", "list", "-o", "table").stdout.startswith("Agents")
    assert tenant.run("agents", "list", "-o", "table", "--json").exit_code == 2
    assert tenant.run("agents", "list", "-o", "xml").exit_code == 2


def test_problem_is_printed_in_the_selected_format(tenant: Terminal) -> None:
    result = tenant.run("lease", "get", "01a1fbc1-3b54-788c-a0a5-f0082570796a", "-o", "yaml")

    assert result.exit_code == 5
    assert yaml.safe_load(result.stdout)["code"] == "lease_not_found"
