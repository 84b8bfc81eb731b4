#!/usr/bin/env python3
"""The truth bench: load generators against servers whose latency follows a known law.

    cargo build --release --bins --example truth_server --example truth_probe
    python3 benches/truth/run.py                      # sandbench, and of the others those that are installed
    python3 benches/truth/run.py --only sandbench,wrk --law freezing
    python3 benches/truth/run.py --times 10 --only sandbench   # the same laws at ten times the rate
    python3 benches/truth/run.py --readme       # runs nothing: writes what was measured into README.md

For each law and tool it prints the percentiles that the tool reports beside those that the law gives
for users who come at a constant rate and do not wait for each other. Nothing is hidden: the command
of each tool is the one that its manual shows first for such a load. Server and tool have a core each:
a server that is kept from its core follows no law. What no generator can help is told by a probe that does
next to nothing (probe.rs), for laws that keep few requests waiting. Results are kept in target/truth.json, so
that the bench can be run in pieces. It ends with 1 if a percentile of sandbench is more than 5 % (and more
than 0.5 ms) from the truth and from what the probe saw.
"""

import argparse
import base64
import csv
import json
import math
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from bench import ROOT, machine, write_readme
from generator import GENERATOR, pinned

PERCENTILES = (50, 90, 95, 99, 99.9)
RESULTS = ROOT / "target" / "truth.json"
TOLERANCE = 0.05
FLOOR = 0.5  # ms: below that, the network and the scheduler of the machine are the figure


# What the law gives: the latency in ms below which a share of the requests stays, if they arrive at
# `rate` per second for `seconds`.


def constant(share, rate, seconds):
    return 5.0


def bimodal(share, rate, seconds):
    return 50.0 if share > 7 / 8 else 5.0


def freezing(share, rate, seconds):
    # Four fifths come when it answers at once, the rest are spread evenly over the frozen second.
    return max(0.0, (share - 0.8) / 0.2 * 1000.0)


def saturating(share, rate, seconds):
    # Six come while five are done: number i comes at i/rate and is done after (i+1) times the work.
    work = 1200.0 / rate
    count = math.ceil(rate * seconds)
    index = max(0, math.ceil(share * count) - 1)
    return work + index * (work - 1000.0 / rate)


LAWS = {  # law: (truth, rate per second, seconds)
    "constant": (constant, 200, 20),
    "bimodal": (bimodal, 200, 20),
    "freezing": (freezing, 200, 20),
    "saturating": (saturating, 120, 10),
}


def laws(times):
    """The laws at so many times their rates, by the name that their results are kept under."""
    mark = "" if times == 1 else f" ×{times}"
    return {law + mark: (law, truth, rate * times, seconds) for law, (truth, rate, seconds) in LAWS.items()}


# The tools: each returns its percentiles in ms. `work` is a directory for its files.


def run(command, **more):
    """Runs a tool on the generator's core; gives what it prints, and its exit code."""
    done = subprocess.run(["taskset", "-c", GENERATOR, *command], capture_output=True, text=True, timeout=180, check=False, **more)
    return done.stdout, done.stderr, done.returncode


def sandbench(program, url, rate, seconds, work):
    scenario, out = work / "truth.yaml", work / "result.json"
    scenario.write_text(f"""
version: 1
name: truth
target: {{ warmPool: none, mode: in-cluster-pod-ip }}
scenarios:
  truth:
    load: {{ rate: {rate}/s, duration: {seconds}s, maxInFlight: 5000 }}
    steps:
      - http: {url}
""")
    command = [program, "run", str(scenario), "--out", f"json={out}", "--progress", "none"]
    stdout, stderr, code = run(command)
    if code:
        raise RuntimeError(f"exit code {code}: {stdout[-2000:]}{stderr[-2000:]}")
    return percentiles_of_summary(json.loads(out.read_text()))


def percentiles_of_summary(summary):
    series = summary["cells"][0]["metrics"]
    found = next(row["statistics"] for row in series if row["metric"] == "iteration_duration" and "step" not in row)
    counts = histogram(found["histogram"])
    return {p: value_at(counts, p) / 1e6 for p in PERCENTILES}


def histogram(text):
    """Value and count of every bucket of an HdrHistogram V2 (deflate, base64)."""
    outer = base64.b64decode(text)
    data = zlib.decompress(outer[8 : 8 + struct.unpack(">i", outer[4:8])[0]])
    length, _, digits = struct.unpack(">iii", data[4:16])
    sub_buckets = 2 ** math.ceil(math.log2(2 * 10**digits))
    half = sub_buckets // 2
    counts, place, at = [], 0, 40
    while at < 40 + length:
        number, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            if shift == 56:
                number |= byte << shift
                break
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        number = (number >> 1) ^ -(number & 1)
        if number < 0:
            place -= number
            continue
        if number:
            bucket, sub = place // half - 1, place % half + half
            bucket, sub = (0, sub - half) if bucket < 0 else (bucket, sub)
            counts.append(((sub << bucket) + (1 << bucket) - 1, number))
        place += 1
    return counts


def value_at(counts, percentile):
    wanted = max(1, math.ceil(percentile / 100 * sum(count for _, count in counts)))
    for value, count in counts:
        wanted -= count
        if wanted <= 0:
            return value
    raise ValueError("an empty histogram")


def wrk(program, url, rate, seconds, work):
    stdout, stderr, _ = run([program, "-t2", "-c20", f"-d{seconds}s", "--latency", url])
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60000.0}
    found = dict(re.findall(r"^\s+(\d+)%\s+(\S+)$", stdout, re.M))
    value = lambda text: float(re.match(r"[\d.]+", text)[0]) * unit[re.sub(r"[\d.]", "", text)]
    return {p: value(found[str(p)]) if str(p) in found else None for p in PERCENTILES}


def oha(program, url, rate, seconds, work, *more):
    stdout, stderr, _ = run([program, "--no-tui", "--output-format", "json", "-c", "100", "-q", str(rate),
                             "-z", f"{seconds}s", *more, url])
    return {p: json.loads(stdout)["latencyPercentiles"][f"p{p}"] * 1000 for p in PERCENTILES}


def oha_corrected(program, url, rate, seconds, work):
    return oha(program, url, rate, seconds, work, "--latency-correction")


def k6(program, url, rate, seconds, work):
    script, out = work / "script.js", work / "summary.json"
    script.write_text(f"""
import http from 'k6/http';
export const options = {{
  summaryTrendStats: ['med', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)'],
  scenarios: {{ main: {{ executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s',
    duration: '{seconds}s', preAllocatedVUs: 50, maxVUs: 100 }} }},
}};
export default function () {{ http.get('{url}'); }}
""")
    run([program, "run", "--quiet", "--no-usage-report", "--summary-export", str(out), str(script)])
    trend = json.loads(out.read_text())["metrics"]["http_req_duration"]
    return {50: trend["med"], 90: trend["p(90)"], 95: trend["p(95)"], 99: trend["p(99)"], 99.9: trend["p(99.9)"]}


def vegeta(program, url, rate, seconds, work):
    attack = f"echo 'GET {url}' | {program} attack -rate={rate}/s -duration={seconds}s | {program} report -type=json"
    stdout, stderr, _ = run(["sh", "-c", attack])
    found = json.loads(stdout)["latencies"]
    return {p: found[f"{p}th"] / 1e6 if f"{p}th" in found else None for p in PERCENTILES}


def locust(program, url, rate, seconds, work):
    (work / "locustfile.py").write_text(
        "from locust import HttpUser, task\n\n\nclass User(HttpUser):\n    @task\n    def get(self):\n        self.client.get('/')\n")
    run([program, "-f", "locustfile.py", "--headless", "-u", "20", "-r", "20", "-t", f"{seconds}s", "--host",
         url.rstrip("/"), "--csv", "out", "--only-summary"], cwd=work)
    rows = list(csv.DictReader((work / "out_stats.csv").open()))
    row = next(row for row in rows if row["Name"] == "Aggregated")
    return {p: float(row[f"{p}%"]) for p in PERCENTILES}


def probe(program, url, rate, seconds, work):
    stdout, stderr, code = run([program, url.removeprefix("http://").rstrip("/"), str(rate), str(seconds)])
    if code:
        raise RuntimeError(stderr)
    counts = sorted((int(line), 1) for line in stdout.split())
    return {p: value_at(counts, p) / 1e6 for p in PERCENTILES}


PROBE, PROBED = "*a blocking probe*", ("constant", "bimodal")

TOOLS = {  # name in the table: (program, how)
    PROBE: ("probe", probe),
    "sandbench": ("sandbench", sandbench),
    "wrk": ("wrk", wrk),
    "oha": ("oha", oha),
    "oha --latency-correction": ("oha", oha_corrected),
    "k6 arrival rate": ("k6", k6),
    "vegeta": ("vegeta", vegeta),
    "Locust": ("locust", locust),
}


def find(name, arguments):
    own = {"sandbench": arguments.sandbench, "probe": arguments.probe}
    return str(own[name]) if name in own else shutil.which(name)


def right(measured, truth):
    return measured is not None and abs(measured - truth) <= max(FLOOR, truth * TOLERANCE)


def shown(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def known():
    """What was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(law, name, measured):
    results = known()
    # Figures of another day or machine do not stand in one table with these.
    if results.get("machine") != machine():
        results = {"machine": machine()}
    results.setdefault(law, {})[name] = [measured[p] for p in PERCENTILES]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1))


def marked(measured, truth):
    return shown(measured) + ("" if measured is None or right(measured, truth) else " ✗")


def table(results):
    """The table of the README."""
    names = [f"p{p}" for p in PERCENTILES]
    lines = ["| law | | " + " | ".join(names) + " |", "|---|---|" + "---:|" * len(names)]
    times = [int(key.partition(" ×")[2] or 1) for key in results if key != "machine"]
    every = {key: found for number in sorted(set(times)) for key, found in laws(number).items()}
    for key, (law, truth, rate, seconds) in every.items():
        true = [truth(p / 100, rate, seconds) for p in PERCENTILES]
        lines.append(f"| **{law}**, {rate}/s | *the truth, in ms* | " + " | ".join(f"*{shown(value)}*" for value in true) + " |")
        for name in TOOLS:
            if name in results.get(key, {}):
                cells = [marked(measured, value) for measured, value in zip(results[key][name], true)]
                name = "**sandbench**" if name == "sandbench" else name
                lines.append(f"| | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + f"\n\nMeasured {results['machine']}. ✗: more than 5 % and more than 0.5 ms from the truth; -: not reported.\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    build = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    parser.add_argument("--sandbench", default=build / "sandbench")
    parser.add_argument("--server", default=build / "examples" / "truth_server")
    parser.add_argument("--probe", default=build / "examples" / "truth_probe")
    parser.add_argument("--only", help="names of tools, with commas between")
    parser.add_argument("--law", choices=LAWS)
    parser.add_argument("--times", type=int, default=1, help="how many times the usual rate")
    parser.add_argument("--readme", action="store_true", help="write the table into README.md, run nothing")
    arguments = parser.parse_args()
    if arguments.readme:
        if not known():
            sys.exit(f"nothing is measured yet: there is no {RESULTS}")
        write_readme("truth", table(known()))
        return 0
    only = arguments.only.split(",") if arguments.only else list(TOOLS)
    wrong = []
    for key, (law, truth, rate, seconds) in laws(arguments.times).items():
        if arguments.law not in (None, law):
            continue
        true = {p: truth(p / 100, rate, seconds) for p in PERCENTILES}
        print(f"\n{law}, {rate}/s for {seconds} s: ms" + "".join(f"{f'p{p}':>10}" for p in PERCENTILES))
        print(f"{'the truth':<34}" + "".join(f"{shown(true[p]):>10}" for p in PERCENTILES))
        for name in only:
            if name == PROBE and law not in PROBED:
                continue
            measured = measure(arguments, (law, rate, seconds), name)
            if measured is None:
                wrong.append((law, name))
                continue
            marks = "".join(f"{shown(measured[p]) + ('  ' if right(measured[p], true[p]) else ' ✗'):>10}" for p in PERCENTILES)
            print(f"{name:<34}{marks}", flush=True)
            keep(key, name, measured)
            seen = dict(zip(PERCENTILES, known().get(key, {}).get(PROBE, true.values())))
            fine = [right(measured[p], true[p]) or right(measured[p], seen[p]) for p in PERCENTILES]
            if name == "sandbench" and not all(fine):
                wrong.append((law, name))
    if wrong:
        print("\nwrong or not run: " + ", ".join(f"{name} ({law})" for law, name in wrong))
    ours = [law for law, name in wrong if name == "sandbench"]
    return 1 if ours else 0


def measure(arguments, load, name):
    """The percentiles of a tool; None if it is not there or fails."""
    law, rate, seconds = load
    program, how = TOOLS[name]
    found = find(program, arguments)
    if not found:
        print(f"{name:<34}  not installed")
        return None
    server = [arguments.server, law, str(arguments.times)]
    with tempfile.TemporaryDirectory() as work, pinned(server, "") as address:
        try:
            return how(found, f"http://{address}/", rate, seconds, pathlib.Path(work))
        except (RuntimeError, OSError, KeyError, ValueError, StopIteration, subprocess.TimeoutExpired) as error:
            print(f"{name:<34}  failed: {error}")
            return None


if __name__ == "__main__":
    sys.exit(main())
