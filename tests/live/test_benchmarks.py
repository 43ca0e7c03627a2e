"""The harness of the benchmarks works: what it measures here is too small to mean anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from docutils.core import publish_doctree
from docutils.utils import Reporter

from benchmarks.__main__ import is_complete
from benchmarks.goals import verdicts
from benchmarks.machine import describe
from benchmarks.peers import OURS, OURS_TWICE, PEERS
from benchmarks.providers import trials
from benchmarks.providers.__main__ import AT_ONCE, GOALS, table
from benchmarks.report import terminal, write
from benchmarks.results import CommandCount, Figures, Results, middle, percentile
from benchmarks.trial import Laboratory, count_commands, run
from benchmarks.workloads import COMPUTE, DRAIN, PUSH_100, TRICKLE, WORKLOADS
from tests.support.stack import Program

SECONDS = 1.0
# RQ is in this environment too: none has to be made for it.
TWO_PEERS = [PEERS[OURS], replace(PEERS["rq-simple"], environment="ours")]


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    with Laboratory(tmp_path_factory.mktemp("laboratory")) as lent:
        yield lent


@pytest.fixture
def results() -> Results:
    """Results of all peers on all workloads, made up."""
    made_up = Results(describe(valkey="9.0", load_before=0.0, pinned=True), 3, SECONDS)
    for workload in WORKLOADS.values():
        for number, peer in enumerate(PEERS, 1):
            if workload.suits(PEERS[peer]):
                latency = None if workload in (DRAIN, COMPUTE) else 1.5 * number
                for _ in range(3):
                    made_up.add(workload.key, peer, figures(1_000 / number, latency))
    made_up.commands = {peer: CommandCount(sent=2.0, scripted=3.0) for peer in PEERS}
    made_up.versions = {"rq": {"rq": "3.0", "redis": "8.0"}}
    return made_up


def figures(rate: float, latency: float | None = None) -> Figures:
    return Figures(rate=rate, cpu_ms=1.0, rss=2e6, pss=1e6, largest=1e6, p50=latency, p99=latency)


@pytest.mark.parametrize("peer", TWO_PEERS, ids=lambda peer: peer.key)
@pytest.mark.parametrize("workload", [DRAIN, PUSH_100, TRICKLE], ids=lambda w: w.key)
def test_a_trial_measures(laboratory: Laboratory, peer, workload) -> None:
    found = run(laboratory, peer, workload, SECONDS)

    assert found.rate > 0
    assert found.cpu_ms >= 0
    assert found.rss >= found.largest > 0
    assert found.pss > 0
    if workload is not DRAIN:
        assert found.p50 is not None
        assert found.p99 is not None
        assert 0 < found.p50 <= found.p99


def test_two_processes_share_what_is_to_be_computed(laboratory: Laboratory) -> None:
    assert run(laboratory, PEERS[OURS_TWICE], COMPUTE, SECONDS).rate > 0
    assert not DRAIN.suits(PEERS[OURS_TWICE])
    assert not COMPUTE.suits(PEERS["rq-simple"])


@pytest.mark.parametrize("peer", TWO_PEERS, ids=lambda peer: peer.key)
def test_commands_are_counted_by_their_origin(laboratory: Laboratory, peer) -> None:
    counted = count_commands(laboratory, peer, SECONDS)

    if peer.key == OURS:
        assert counted.sent < 1 < counted.scripted
    else:
        assert counted.sent > 10 > counted.scripted


def test_no_worker_outlives_its_trial(laboratory: Laboratory) -> None:
    with laboratory.worker(PEERS[OURS], 2) as worker:
        worker.wait_until(lambda: len(worker.processes()) >= 2, timeout=30, what="a child")

    assert worker.processes() == []


def test_the_page_and_its_charts_are_well_formed(tmp_path: Path, results: Results) -> None:
    results.failures.append(("drain", "saq", "it ended\nand more"))
    write(results, tmp_path)

    page = (tmp_path / "benchmarks.rst").read_text("utf-8")
    publish_doctree(page, settings_overrides={"halt_level": Reporter.WARNING_LEVEL})
    charts = sorted(tmp_path.glob("*.svg"))
    assert len(charts) == len(WORKLOADS) + 1
    for chart in charts:
        ElementTree.parse(chart)
        assert chart.name in page
    assert "rqgeventworker" in terminal(results)


def test_the_page_is_only_written_after_a_complete_run(results: Results) -> None:
    assert is_complete(results)
    results.trials["trickle"]["saq"].pop()
    assert not is_complete(results)


def test_results_survive_their_file(tmp_path: Path, results: Results) -> None:
    results.save(tmp_path / "results.json")

    loaded = Results.load(tmp_path / "results.json")
    assert loaded.medians("drain") == results.medians("drain")
    assert list(verdicts(loaded)) == list(verdicts(results))


def test_a_goal_that_was_not_measured_is_neither_reached_nor_missed() -> None:
    nothing = Results(describe(valkey="9.0", load_before=0.0, pinned=True), 1, SECONDS)

    assert {verdict.reached for verdict in verdicts(nothing)} == {None}


def test_the_median_is_taken_of_each_figure() -> None:
    found = middle([figures(3, 1.0), figures(1, 5.0), figures(2, 2.0)])

    assert (found.rate, found.p50) == (2, 2.0)
    assert percentile(range(100), 0.5) == 50
    assert percentile(range(100), 0.99) == 99


def test_the_table_of_a_provider_holds_medians_and_their_factor() -> None:
    ours = [trials.Figures(rate, 6_000) for rate in (9_000, 1_000, 3_000)]
    lines = table("apns", ours, [trials.Figures(200, 100)], ("ours", "theirs"))

    assert [line.split()[:3] for line in lines] == [
        ["apns", "ours", "3,000"],
        ["apns", "theirs", "200"],
        ["apns", "factor", "15.0"],
    ]
    assert AT_ONCE.keys() == GOALS.keys() == {"webpush", "fcm", "apns"}


@pytest.mark.parametrize("kind", ["webpush", "fcm", "apns"])
def test_our_backend_pushes_to_the_peer_of_a_provider(tmp_path: Path, kind: str) -> None:
    with trials.peer(kind, tmp_path, 0.01) as told:
        found = trials.ours(kind, tmp_path, 50, 10)

        assert found.rate > 0
        assert found.lean > 0
        assert trials.fetch_figures(told)["accepted"] >= 50


def test_a_network_that_loses_connections_loses_no_message(tmp_path: Path) -> None:
    """How long it takes is for the benchmark to say."""
    program = Program(
        ["-m", "benchmarks.losses", "--count=240", "--goal=60"], dict(os.environ), tmp_path / "log"
    )
    assert program.wait(120) == 0, program.output
    assert program.output.count("0 lost, 0 twice") == 3


def test_a_neighbour_that_tries_everything_stops_nobody(tmp_path: Path) -> None:
    """How long its pushes keep those of others waiting is for the benchmark to say."""
    program = Program(
        ["-m", "benchmarks.neighbours", "--seconds=8", "--goal=60", "--database=sqlite"],
        {**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        tmp_path / "log",
    )
    assert program.wait(180) == 0, program.output
    assert "paused: nothing" in program.output


def test_many_rows_are_enqueued_and_pruned_to_the_last(tmp_path: Path) -> None:
    """How fast that is, and what the others cost, is for the benchmark to say."""
    program = Program(
        [
            *("-m", "benchmarks.scale", "--due", "2000", "--old=1000", "--seconds=2"),
            "--rows=100",
        ],
        {**os.environ, "DJANGO_SETTINGS_MODULE": ""},
        tmp_path / "log",
    )
    assert program.wait(300) == 0, program.output
    assert "2,000 due at once" in program.output
    assert "the admin's list" in program.output
