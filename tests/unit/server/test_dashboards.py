"""What operators are given asks for metrics that there are, and every alert is explained."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from quorate.contracts.problems import KINDS
from quorate.domain.notifications import NOTICED_TYPES
from quorate.eventlog.serialization import VERSIONS
from tests.e2e.docs.markdown import document
from tests.support.paths import ROOT
from tests.unit.server.metrics_page import Watched, families

DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "quorate.json").read_text())
ALERTS = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())[
        "groups"
    ]
    for rule in group["rules"]
]
OF_PROMETHEUS = {"up"}
WORDS = {
    *("by", "and", "or", "unless", "on", "ignoring", "sum", "max", "min", "rate", "increase"),
    *("histogram_quantile", "label_values"),
}
_STRING = re.compile(r'"[^"]*"')
_SELECTOR = re.compile(r"\{[^}]*\}")
_GROUPING = re.compile(r"\bby \([^)]*\)")
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")


def queries() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for alert in ALERTS:
        yield alert["alert"], alert["expr"]


QUERIES = list(queries())


def metrics_of(expression: str) -> set[str]:
    bare = expression
    for part in (_STRING, _SELECTOR, _GROUPING, _RANGE):
        bare = part.sub(" ", bare)
    return set(_NAME.findall(bare)) - WORDS


@pytest.fixture(scope="module")
def told() -> dict[str, set[str]]:
    """Each metric's name, and its labels, on a page on which everything was counted once."""
    watched = Watched()
    watched.tallies.of("http", "acquireLease").count("ok", 0.01)
    labels: dict[str, set[str]] = {}
    for name, pairs in watched.samples():
        labels.setdefault(name, set()).update(label for label, _ in pairs)
    return labels


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_a_query_asks_for_what_there_is(
    told: dict[str, set[str]], where: str, expression: str
) -> None:
    asked = metrics_of(expression) - OF_PROMETHEUS
    assert asked or "up" in expression
    assert asked <= set(told), where
    known = {label for name in asked for label in told[name]} | {"job", "instance"}
    for selector in _SELECTOR.findall(expression):
        assert set(_LABEL.findall(_STRING.sub('""', selector))) <= known, where
    assert expression.count("(") == expression.count(")")


def test_what_stands_in_quotes_is_a_value_that_there_is() -> None:
    known: dict[str, set[str]] = {
        "outcome": {*KINDS, "ok", "done", "replayed", "accepted", "refused"},
        "status": {"200", *(str(kind.status) for kind in KINDS.values())},
        "type": set(VERSIONS),
        "state": {"waiting", "following", "stopped", "unavailable"},
    }
    for where, expression in QUERIES:
        for label, value in re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', expression):
            if label in known:
                assert set(value.split("|")) <= known[label], where
    assert set(VERSIONS) >= NOTICED_TYPES


def test_panels_stand_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_metric_of_ours_is_explained() -> None:
    explained = {
        name
        for row in document("docs/operating.md").rows()
        for name in re.findall(r"`(quorate_\w+)`", row[0])
    }
    counters = {"counter": "_total"}
    ours = {
        family.name + counters.get(family.type, "")
        for family in families(Watched().metrics.page().decode())
        if family.name.startswith("quorate_")
    }

    assert explained == ours


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_an_alert_says_how_urgent_it_is_and_what_helps(alert: dict[str, Any]) -> None:
    rows = [row for row in document("docs/operating.md").rows() if row[0] == f"`{alert['alert']}`"]

    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]
    assert len(rows) == 1, "it has its line in docs/operating.md"


def test_no_alert_is_explained_that_there_is_none_of() -> None:
    told = {row[0] for row in document("docs/operating.md").rows()}
    explained = {name for name in told if re.fullmatch(r"`Quorate\w+`", name)}

    assert explained == {f"`{alert['alert']}`" for alert in ALERTS}
