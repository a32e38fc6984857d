"""Race spikelearn against its peers: `python -m tests.benchmarks.compare`.

`make bench-peers` makes the environments and runs this. Progress and the table go to
standard error; standard output ends with one JSON list of rows with `workload`,
`ours_ms`, `fastest_peer`, `peer_ms`, `ratio` and `bar`. Everything that was measured is
written to runs/bench/, the scaling figure to examples/figures/scaling.png. The exit
status is 1 if a ratio is below its bar, was not measured, or a gradient of ours is off.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from spikelearn import __version__
from spikelearn.benchmark import WORKLOADS, select
from spikelearn.benchmark.fma import trace_efficiency
from spikelearn.errors import SpikelearnError
from tests.benchmarks.bars import (
    BARS,
    SCALING_BARS,
    TRACES_SIZES,
    compare,
    scaling,
    traces,
)
from tests.benchmarks.child import ROOT, Child
from tests.benchmarks.environments import ENVIRONMENTS
from tests.benchmarks.figure import draw
from tests.benchmarks.race import Effort, race

console = Console(stderr=True)
QUICK = ("w1_b1", "w2_pat", "w3_lif_100_b1", "bptt_alif_100_b1")


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names or families")
    help_quick = "a smoke run: four workloads, peers on all cores only"
    parser.add_argument("--quick", action="store_true", help=help_quick)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="ours")
    parser.add_argument("--without", nargs="+", default=[], metavar="ENVIRONMENT")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bench")
    figure = ROOT / "examples" / "figures" / "scaling.png"
    parser.add_argument("--figure", type=Path, default=figure)
    return parser.parse_args()


def say(text):
    """Print a line of progress."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def run(options):
    """Race everything that was asked for; return the rows and the results."""
    options.out.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    default = QUICK if options.quick else list(WORKLOADS)
    chosen = select(options.only or default)
    effort = Effort(options.rounds)
    if options.quick:
        effort = Effort(rounds=2, turn=0.05, ours=0.02, most=8)
    children = [
        Child(e, options.out / f"{stamp}-{e.name}.log")
        for e in ENVIRONMENTS
        if e.name not in options.without and not (e.one_core and options.quick)
    ]
    results = {}
    try:
        for number, workload in enumerate(chosen, 1):
            say(f"{number}/{len(chosen)}  {workload.name}")
            found = race(workload, children, options.threads, effort, say)
            say(f"    spikelearn: {found['ours_ms']:.3g} ms")
            results[workload.name] = found
            rows = evaluate(results)
            write(options.out / f"{stamp}.json", rows, results)
    finally:
        for child in children:
            child.end()
    return rows, results


def evaluate(results):
    """Return a row for every bar whose workloads were raced."""
    rows = [
        compare(bar, results[bar.workload]) for bar in BARS if bar.workload in results
    ]
    complete = [bar for bar in SCALING_BARS if set(bar.workloads) <= set(results)]
    return rows + [scaling(bar, results) for bar in complete]


def write(path, rows, results):
    """Write everything that was measured so far."""
    machine = {"machine": platform.machine(), "python": platform.python_version()}
    content = {"version": __version__, **machine, "rows": rows, "results": results}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def show(rows):
    """Print the table."""
    table = Table(title="spikelearn and its peers, medians", title_justify="left")
    columns = ("workload", "ours ms", "peer", "peer ms", "ratio", "bar", "error", "")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        numbers = [number(row[name]) for name in ("peer_ms", "ratio", "bar")]
        error = row["gradient_error"]
        table.add_row(
            row["workload"],
            number(row["ours_ms"]),
            row["fastest_peer"] or row["against"],
            *numbers,
            "-" if error is None else f"{error:.0e}",
            "ok" if row["ok"] else "BELOW",
        )
    console.print(table)


def number(value):
    """Return a number with three digits, or a dash."""
    return "-" if value is None else f"{value:.3g}"


def main():
    """Race, show and judge; return the exit status."""
    options = arguments()
    try:
        rows, results = run(options)
    except SpikelearnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not options.only:
        rows += [traces(n, trace_efficiency(n)) for n in TRACES_SIZES]
    show(rows)
    if not options.quick and draw(results, options.figure):
        say(f"figure: {options.figure}")
    print(json.dumps(rows))
    return 0 if all(row["ok"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
