"""Dashboard and alerts use existing metrics only, and every alert and metric is documented.

* A query uses metrics, labels and label values that the service exports.
* Every metric has a row in docs/operations/monitor.md.
* Every alert has a severity, a summary, a row in docs/operations/monitor.md and a runbook, and
  every runbook has its alert.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from quorate.application.mail import relay_metrics
from quorate.contracts.problems import KINDS
from quorate.domain.registry import NOTIFYING_EVENTS
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
MONITOR = document("docs/operations/monitor.md")
PROMETHEUS_METRICS = {"up"}
PROMQL_KEYWORDS = {
    *("by", "and", "or", "unless", "on", "ignoring", "sum", "max", "min", "rate", "increase"),
    *("histogram_quantile", "label_values", "time"),
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
    return set(_NAME.findall(bare)) - PROMQL_KEYWORDS


@pytest.fixture(scope="module")
def exported_labels() -> dict[str, set[str]]:
    """Return the label names of each metric, from a page on which every counter has a value."""
    watched = Watched()
    watched.request_metrics.of("http", "acquireLease").count("ok", 0.01)
    labels: dict[str, set[str]] = {}
    for name, pairs in watched.samples():
        labels.setdefault(name, set()).update(label for label, _ in pairs)
    return labels


@pytest.mark.parametrize(("where", "expression"), QUERIES, ids=[where for where, _ in QUERIES])
def test_query_uses_exported_metrics_and_labels(
    exported_labels: dict[str, set[str]], where: str, expression: str
) -> None:
    used = metrics_of(expression) - PROMETHEUS_METRICS
    assert used or "up" in expression
    assert used <= set(exported_labels), where
    known = {label for name in used for label in exported_labels[name]} | {"job", "instance"}
    for selector in _SELECTOR.findall(expression):
        assert set(_LABEL.findall(_STRING.sub('""', selector))) <= known, where
    assert expression.count("(") == expression.count(")")


def test_query_uses_existing_label_values() -> None:
    known: dict[str, set[str]] = {
        "outcome": {
            *KINDS,
            "ok",
            "done",
            "replayed",
            "accepted",
            "refused",
            *relay_metrics.OUTCOMES,
        },
        "status": {"200", *(str(kind.status) for kind in KINDS.values())},
        "type": set(VERSIONS),
        "state": {"waiting", "following", "stopped", "unavailable"},
    }
    for where, expression in QUERIES:
        for label, value in re.findall(r'(\w+)(?:=~|!=|=)"([^"]*)"', expression):
            if label in known:
                assert set(value.split("|")) <= known[label], where
    assert set(VERSIONS) >= NOTIFYING_EVENTS


def test_panels_do_not_overlap() -> None:
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


def test_every_metric_is_documented() -> None:
    documented = {name for row in MONITOR.rows() for name in re.findall(r"`(quorate_\w+)`", row[0])}
    counters = {"counter": "_total"}
    exported = {
        family.name + counters.get(family.type, "")
        for family in families(Watched().metrics.page().decode())
        if family.name.startswith("quorate_")
    }

    assert documented == exported


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_alert_has_a_severity_a_summary_and_a_runbook(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    runbook = alert["annotations"]["runbook_url"]

    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"]
    assert runbook == f"docs/runbooks/{name}.md"
    assert document(runbook).text.startswith(
        f"# {name}\n\nSeverity: {alert['labels']['severity']}."
    )


@pytest.mark.parametrize("alert", ALERTS, ids=[alert["alert"] for alert in ALERTS])
def test_runbook_names_the_meaning_the_impact_and_the_fix(alert: dict[str, Any]) -> None:
    runbook = document(alert["annotations"]["runbook_url"])

    assert {"meaning", "impact", "diagnose", "fix", "related"} <= runbook.anchors


def test_runbooks_and_documented_alerts_are_those_of_the_rules() -> None:
    rules = {alert["alert"] for alert in ALERTS}
    runbooks = {path.stem for path in (ROOT / "docs" / "runbooks").glob("Quorate*.md")}
    documented = {
        name for row in MONITOR.rows() for name in re.findall(r"\[`(Quorate\w+)`\]", row[0])
    }

    assert runbooks == rules
    assert documented == rules
