"""docs/api.md and docs/metrics.md tell of everything the admin plane serves, and of nothing else."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path

from tests.unit.gateway.admin.test_metrics import Board

from metis.accounts.keys import KeySpec
from metis.analytics.money import with_dollars
from metis.analytics.ports import COLUMNS
from metis.analytics.spend import Comparison, CostReport, Spend, SpendRow
from metis.analytics.window import Window
from metis.gateway.admin.bodies import report_value
from metis.gateway.admin.metrics import GatewayMetrics
from metis.gateway.admin.operations import OPERATIONS, PARAMETERS
from metis.trace.recorder import RecorderStats

DOCS = Path(__file__).parents[4] / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
METRICS = (DOCS / "metrics.md").read_text(encoding="utf-8")


def test_every_operation_is_documented_and_no_other() -> None:
    documented = set(re.findall(r"`(GET|POST) (/[^`\s]*)`", API))
    assert documented == {(o.method, o.path) for o in OPERATIONS}


def test_every_parameter_field_and_dimension_is_documented() -> None:
    words = set(re.findall(r"`([a-z_0-9]+)`", API)) | {"include_inactive", "token"}
    assert set(PARAMETERS) - words == set()
    assert set(COLUMNS) - words == set()
    assert set(KeySpec.__struct_fields__) - words == set()


def test_every_field_of_a_report_is_documented() -> None:
    row = SpendRow(
        group={},
        window=Window(),
        turns=0,
        spend=Spend(),
        client_paid=Spend(),
        comparison=Comparison(),
    )
    report = CostReport(
        window=Window(), group_by=(), interval=None, zone="UTC", rows=(), total=row, open_calls=0
    )
    value = with_dollars(report_value(report, (), next_cursor=None, zone=UTC))
    fields = {*value, *value["total"], *value["total"]["tokens"], *value["total"]["usage_source"]}
    words = set(re.findall(r"`([a-z_0-9]+)`", API))
    derived = {"rows", "baseline_usd", "saving_usd", "compared_cost_usd"}
    assert fields - words - derived == set()


def test_every_metric_and_label_is_documented_and_no_other() -> None:
    metrics = GatewayMetrics()
    metrics.attach_board(Board(), lambda: 1)
    metrics.attach_recorder(RecorderStats)
    exported = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.registry.collect()
    }
    documented = set(re.findall(r"^\| `(metis_[a-z0-9_]+)`", METRICS, re.MULTILINE))
    assert documented == exported
    labels = {
        label
        for collector in metrics.registry._collector_to_names  # pyright: ignore[reportPrivateUsage]
        for label in getattr(collector, "_labelnames", ())
    } | {"class"}
    assert labels - set(re.findall(r"`([a-z_]+)`", METRICS)) == set()
