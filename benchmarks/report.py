"""The results as a page of the documentation, with its charts, and as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from .charts import Row, bars, ranges
from .goals import MEGABYTE, verdicts
from .machine import Machine
from .peers import OURS, PEERS
from .prose import COMMANDS, INTRODUCTION, MEMORY, METHOD, RUN_IT
from .results import Figures, Results
from .workloads import DRAIN, LATENCY_MS, WORKLOADS, Workload

PAGE = "benchmarks.rst"
MARKS = {True: "reached", False: "**missed**", None: "not measured"}


def write(results: Results, folder: Path) -> None:
    """Write the page and its charts into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in charts(results).items():
        (folder / name).write_text(chart, "utf-8")
    (folder / PAGE).write_text(page(results), "utf-8")


def chart_name(workload: Workload) -> str:
    return f"benchmarks-{workload.key}.svg"


def charts(results: Results) -> dict[str, str]:
    """Return file name -> SVG."""
    drawn = {}
    for workload in WORKLOADS.values():
        medians = results.medians(workload.key)
        if not medians:
            continue
        if workload.rate is not None:
            rows = [
                Row(name=PEERS[key].name, value=f.p50, until=f.p99, ours=key == OURS)
                for key, f in _by_latency(medians)
                if f.p50 is not None
            ]
            chart = ranges(workload.title, "ms until done: median / 99 of 100", rows)
        else:
            rows = [
                Row(name=PEERS[key].name, value=f.rate, ours=key == OURS)
                for key, f in medians.items()
            ]
            chart = bars(workload.title, "jobs/s", rows, limit=workload.ceiling)
        drawn[chart_name(workload)] = chart
    if medians := results.medians(DRAIN.key):
        rows = [
            Row(name=PEERS[key].name, value=f.cpu_ms, ours=key == OURS)
            for key, f in sorted(medians.items(), key=lambda item: item[1].cpu_ms)
        ]
        drawn["benchmarks-cpu.svg"] = bars(
            "CPU time of a job that does nothing", "ms of CPU", rows, form="{:.2f}"
        )
    return drawn


def page(results: Results) -> str:
    """Return the page as reStructuredText."""
    parts = [
        ".. Written by ``python -m benchmarks``. The next run overwrites any changes.",
        title("Benchmarks", "=", over=True),
        INTRODUCTION,
        title("The goals"),
        table(
            ("goal", "measured", ""),
            [(v.goal, v.measured, MARKS[v.reached]) for v in verdicts(results)],
        ),
    ]
    for workload in WORKLOADS.values():
        if medians := results.medians(workload.key):
            parts += [
                title(workload.title),
                _image(chart_name(workload), workload.title),
                workload_table(workload, medians),
            ]
            if workload is DRAIN:
                parts += [_image("benchmarks-cpu.svg", "CPU time of a job that does nothing")]
    if results.commands:
        parts += [title("Redis commands"), COMMANDS, commands_table(results)]
    parts += [
        title("How it is measured"),
        METHOD.format(latency=LATENCY_MS, rounds=results.rounds, seconds=results.seconds),
        MEMORY,
        title("The machine"),
        machine_line(results.machine),
        table(
            ("environment", "versions"),
            [
                (name, ", ".join(f"{package} {v}" for package, v in versions.items()))
                for name, versions in results.versions.items()
            ],
        ),
    ]
    if results.failures:
        parts += [
            title("Failures"),
            table(
                ("workload", "peer", "what"),
                [(w, PEERS[p].name, m.splitlines()[0]) for w, p, m in results.failures],
            ),
        ]
    parts += [title("Run it yourself"), RUN_IT]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def workload_table(workload: Workload, medians: dict[str, Figures]) -> str:
    """Return the medians of all peers, and how they compare with ours."""
    ours = medians.get(OURS)
    trickles = workload.rate is not None
    head = ["", "p50 ms", "p99 ms"] if trickles else ["", "jobs/s", "ours is"]
    head += ["CPU ms per job", "RSS MB", "PSS MB"]
    if workload.job == "push":
        head += ["p50 ms", "p99 ms"]
    rows = []
    for key, f in _by_latency(medians) if trickles else medians.items():
        name = PEERS[key].name
        row = [f"**{name}**" if key == OURS else name]
        if not trickles:
            row.append(f"{f.rate:,.0f}" if f.rate >= 100 else f"{f.rate:.1f}")
            row.append("" if key == OURS or ours is None else f"{ours.rate / f.rate:,.1f} x")
        latencies = [_number(f.p50, 1), _number(f.p99, 1)]
        row += latencies if trickles else []
        row += [
            f"{f.cpu_ms:.2f}" if f.cpu_ms < 10 else f"{f.cpu_ms:.1f}",
            f"{f.rss / MEGABYTE:.0f}",
            f"{f.pss / MEGABYTE:.0f}",
        ]
        row += latencies if workload.job == "push" else []
        rows.append(row)
    return table(head, rows)


def commands_table(results: Results) -> str:
    rows = [
        (PEERS[key].name, f"{c.sent:.1f}", f"{c.scripted:.1f}", f"{c.executed:.1f}")
        for key, c in sorted(results.commands.items(), key=lambda item: item[1].executed)
    ]
    return table(("", "sent by the worker", "inside scripts", "executed"), rows)


def machine_line(m: Machine) -> str:
    before, after = m.load
    place = (
        "The worker had a core to itself; Valkey, the gateway and the harness shared the other."
        if m.pinned
        else "No process was pinned to a core."
    )
    return (
        f"{m.processor}, {m.cores} cores, {m.memory / 2**30:.0f} GiB, {m.system}, "
        f"Python {m.python}, Valkey {m.valkey}, {m.measured_at}. {place} The load average was "
        f"{before:.2f} when the run began and {after:.2f} when it ended."
    )


def terminal(results: Results) -> str:
    """Return everything that the page says in numbers."""
    parts = []
    for workload in WORKLOADS.values():
        if medians := results.medians(workload.key):
            parts += [workload.title, workload_table(workload, medians)]
    if results.commands:
        parts += ["Redis commands per job", commands_table(results)]
    goals = [(v.goal, v.measured, MARKS[v.reached]) for v in verdicts(results)]
    parts += ["Goals", table(("goal", "measured", ""), goals)]
    parts += [f"FAILED {workload}, {peer}: {what}" for workload, peer, what in results.failures]
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a simple table of reStructuredText."""
    lines = [list(head), *map(list, rows)]
    # An empty cell in the first column would continue the row above; "\\ " renders as nothing.
    lines = [[line[0] or "\\ ", *line[1:]] for line in lines]
    widths = [max(1, *(len(line[column]) for line in lines)) for column in range(len(head))]
    rule = "  ".join("=" * width for width in widths)
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join([rule, text[0], rule, *text[1:], rule])


def _by_latency(medians: dict[str, Figures]) -> list[tuple[str, Figures]]:
    return sorted(medians.items(), key=lambda item: item[1].p50 or 0.0)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def title(text: str, rule: str = "=", *, over: bool = False) -> str:
    line = rule * len(text)
    return f"{line}\n{text}\n{line}" if over else f"{text}\n{line}"


def _image(name: str, alt: str) -> str:
    return f".. image:: {name}\n   :alt: {alt}"
