#!/usr/bin/env python3
"""The scale bench: what a sandbox and a cell cost when there are ten times as many of them.

    cargo build --release --bins
    python3 benches/scale/run.py --work DIR                      # about ten minutes
    python3 benches/scale/run.py --work DIR --most 1000 --readme

Sandboxes: so many live ones at once, held by one process, each with one call per ten seconds for half a
minute. The call asks for a file: a command would be a process, and the cluster's one core does not start a
thousand in a second. Cells: the same ten thousand requests in 1, 10 and 100 cells of a matrix. The generator has
core 0 for itself, the loopback cluster core 1. Ends with 1 if a cost per sandbox or per request at the
upper end is more than 1.5 times that of the step before: what is linear costs the same everywhere.
The plot is drawn with Matplotlib if that is there.
"""

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from bench import ROOT, machine, write_readme
from generator import POOL, cluster, most_descriptors, pinned, scenario, statistics_of

CALLS, EVERY = 3, 10  # of each sandbox, seconds between
REQUESTS = 10_000
LIMIT = 1_200  # seconds that a run may take


def sandboxes(count, program, work):
    """`count` live sandboxes at once."""
    text = f"""
version: 1
name: scale
target: {{ warmPool: {POOL}, mode: in-cluster-pod-ip }}
scenarios:
  live:
    load: {{ rate: 250/s, iterations: {count}, maxInFlight: {count}, gracefulStop: 20m }}
    timeout: 20m
    steps:
      - create: {{}}
        timeout: 10m
      - sleep: {max(0, count // 250 - 1)}s
      - group: call
        steps:
          - exists: file.txt
          - sleep: {EVERY}s
        repeat: {CALLS}
      - delete: {{}}
"""
    with cluster(program, work, replicas=0) as env:
        result, figures = scenario(program, text, work, env, LIMIT)
    cell = result["cells"][0]
    return {
        "count": count,
        "cpu_per": figures.cpu / count * 1e6,
        "memory": figures.memory,
        "ready_p99": statistics_of(cell, "sandbox_ready_duration")["p99_ns"] / 1e6,
        "call_p99": statistics_of(cell, "exists_duration")["p99_ns"] / 1e6,
        "failed": cell["iterations_failed"] + cell["iterations_dropped"],
        "doubt": result["doubt"]["verdict"],
    }


def cells(count, program, work, url):
    """The same requests, in so many cells."""
    numbers = ", ".join(str(number) for number in range(count))
    text = f"""
version: 1
name: scale
target: {{ warmPool: {POOL}, mode: in-cluster-pod-ip }}
scenarios:
  cells:
    matrix: {{ n: [{numbers}] }}
    load: {{ vus: 10, iterations: {REQUESTS // count} }}
    steps:
      - http: {{ method: POST, url: "{url}/execute", body: '{{"command":"true"}}', headers: {{ x-cell: "${{{{ matrix.n }}}}" }} }}
"""
    with cluster(program, work, replicas=1) as env:
        result, figures = scenario(program, text, work, env, LIMIT)
    assert len(result["cells"]) == count
    return {"count": count, "cpu_per": figures.cpu / REQUESTS * 1e6, "memory": figures.memory}


def table(live, split):
    lines = ["| live sandboxes | CPU per life, µs | memory of the generator | more per sandbox | Ready p99, ms | call p99, ms | failed |"]
    lines += ["|---:|---:|---:|---:|---:|---:|---:|"]
    before = None
    for row in live:
        more = "" if before is None else f"{(row['memory'] - before['memory']) / (row['count'] - before['count']) / 1024:.1f} KiB"
        cells = [f"{row['count']:,}", f"{row['cpu_per']:.0f}", f"{row['memory'] / (1 << 20):.1f} MiB", more]
        cells += [f"{row['ready_p99']:.1f}", f"{row['call_p99']:.1f}", str(row["failed"])]
        lines.append(f"| {' | '.join(cells)} |")
        before = row
    lines += ["", f"| cells, {REQUESTS:,} requests in all | CPU per request, µs | memory of the generator |", "|---:|---:|---:|"]
    lines += [f"| {row['count']} | {row['cpu_per']:.1f} | {row['memory'] / (1 << 20):.1f} MiB |" for row in split]
    return "\n".join(lines)


def plot(live, split, path):
    try:
        import matplotlib

        matplotlib.use("svg")
        from matplotlib import pyplot
    except ImportError:
        print("no plot: Matplotlib is not installed", file=sys.stderr)
        return False
    matplotlib.rcParams["svg.hashsalt"] = "sandbench"
    figure, axes = pyplot.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
    panels = [
        (live, "cpu_per", 1, "CPU per life, µs", "live sandboxes"),
        (live, "memory", 1 << 20, "memory of the generator, MiB", "live sandboxes"),
        (split, "cpu_per", 1, "CPU per request, µs", "cells"),
    ]
    for axis, (rows, key, unit, name, what) in zip(axes, panels, strict=True):
        axis.plot([row["count"] for row in rows], [row[key] / unit for row in rows], marker="o")
        axis.set(xscale="log", xlabel=what, title=name, ylim=(0, None))
        axis.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})
    return True


def grew(rows):
    """Which steps cost more than in proportion."""
    pairs = zip(rows, rows[1:], strict=False)
    return [f"{two['count']:,}: {two['cpu_per']:.1f} µs after {one['cpu_per']:.1f}" for one, two in pairs if two["cpu_per"] > 1.5 * one["cpu_per"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    build = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    parser.add_argument("--work", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--build", default=build, type=pathlib.Path, help="directory of our own programs")
    parser.add_argument("--most", type=int, default=10_000, help="how many sandboxes at most")
    parser.add_argument("--readme", action="store_true", help="write table and plot into README.md")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    most_descriptors()
    program = arguments.build / "sandbench"
    live = []
    for count in (10, 100, 1_000, 10_000):
        if count <= arguments.most:
            live.append(sandboxes(count, program, arguments.work))
            print(live[-1], flush=True)
    with pinned([arguments.build / "examples" / "noop_runtime"], "") as address:
        split = [cells(count, program, arguments.work, f"http://{address}") for count in (1, 10, 100)]
    text = table(live, split)
    print(f"\n{text}\n")
    picture = ROOT / "benches" / "scale" / "scale.svg"
    if plot(live, split, picture if arguments.readme else arguments.work / "scale.svg") and arguments.readme:
        text += "\n\n![CPU and memory against the number of sandboxes and cells](benches/scale/scale.svg)"
    if arguments.readme:
        write_readme("scale", f"Measured {machine()}, one core for the generator and one for the target.\n\n{text}\n")
    worse = grew(live[1:]) + grew(split)
    for line in worse:
        print(f"more than in proportion: {line}", file=sys.stderr)
    return int(bool(worse) or any(row["failed"] for row in live))


if __name__ == "__main__":
    sys.exit(main())
