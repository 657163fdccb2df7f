"""Alerts, dashboard and runbook speak of metrics that exist, and of each other."""

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from bloge_server.telemetry.catalogue import CATALOGUE

from .repository import ROOT

LABELS = {metric.name: {*metric.labels, "le", "instance", "job"} for metric in CATALOGUE}
FOREIGN = {"up", "process_cpu_seconds_total"}
"""Metrics that Prometheus and its client library make."""
PARTS = ("_bucket", "_count", "_sum")

ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/bloge.json").read_text())
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
RUNBOOK = (ROOT / "docs/runbook.md").read_text()


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """Yield what an expression selects, at any depth."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (part := getattr(node, name, None)) is not None:
            yield from selectors(part)
    for argument in getattr(node, "args", None) or ():
        yield from selectors(argument)


def unknown(expression: str) -> list[str]:
    """Return the metrics and labels of an expression that do not exist."""
    found = list(selectors(promql_parser.parse(expression.replace("$__rate_interval", "5m"))))
    assert found, f"nothing is selected by {expression}"
    wrong = []
    for selector in found:
        name = str(selector.name)
        metric = next((name.removesuffix(part) for part in PARTS if name.removesuffix(part) in LABELS), name)
        if metric not in LABELS:
            wrong += [] if name in FOREIGN else [name]
            continue
        matchers = selector.matchers.matchers
        wrong += [f"{name}{{{each.name}}}" for each in matchers if each.name not in LABELS[metric]]
    return wrong


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_what_exists(alert: dict[str, Any]) -> None:
    """A misspelt metric would never fire."""
    assert unknown(alert["expr"]) == []


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_has_an_entry_in_the_runbook(alert: dict[str, Any]) -> None:
    """Whoever is woken finds what it means and what to do, and how urgent it is."""
    assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"
    assert alert["labels"]["severity"] in {"warning", "critical"}
    entry = re.search(rf"^## {alert['alert']}\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert entry is not None
    assert "**Means**" in entry.group(1)
    assert "**Do**" in entry.group(1)


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    """Both change together."""
    assert sorted(re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)) == sorted(alert["alert"] for alert in ALERTS)


@pytest.mark.parametrize("query", QUERIES)
def test_the_dashboard_asks_for_what_exists(query: str) -> None:
    """A panel with a misspelt metric would stay empty."""
    assert unknown(query) == []


def test_every_metric_is_on_the_dashboard() -> None:
    """What is measured can be seen."""
    shown = " ".join(QUERIES)
    assert [name for name in LABELS if name not in shown] == []


def test_a_misspelt_metric_or_label_is_found() -> None:
    """The checks above can fail."""
    assert unknown("sum(bloge_itemz) > 0") == ["bloge_itemz"]
    assert unknown('rate(bloge_claims_total{topic="a"}[5m])') == ["bloge_claims_total{topic}"]
    assert unknown("histogram_quantile(0.9, sum by (le) (rate(bloge_runs_seconds_bucket[5m])))") == [
        "bloge_runs_seconds_bucket"
    ]
