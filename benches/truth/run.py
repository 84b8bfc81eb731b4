#!/usr/bin/env python3
"""The truth bench: load generators against servers whose latency follows a known law.

    cargo build --release --bins --example truth_server
    python3 benches/truth/run.py                      # sandbench, and of the others those that are installed
    python3 benches/truth/run.py --only sandbench,wrk --law freezing

For each law and tool it prints the percentiles that the tool reports beside those that the law gives
for users who come at a constant rate and do not wait for each other. Nothing is hidden: the command
of each tool is the one that its manual shows first for such a load. It ends with 1 if a percentile of
sandbench is more than 5 % (and more than 0.5 ms) from the truth.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERCENTILES = (50, 90, 95, 99)
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
    # Request number i comes at i/rate and is done at (i+1)/100.
    count = math.ceil(rate * seconds)
    index = max(0, math.ceil(share * count) - 1)
    return 10.0 + index * (10.0 - 1000.0 / rate) if rate > 100 else 10.0


LAWS = {  # law: (truth, rate per second, seconds)
    "constant": (constant, 200, 20),
    "bimodal": (bimodal, 200, 20),
    "freezing": (freezing, 200, 20),
    "saturating": (saturating, 120, 10),
}


# The tools: each returns its percentiles in ms. `work` is a directory for its files.


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False, **more)
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
    found = next(row["statistics"] for row in series if row["metric"] == "iteration_duration")
    return {p: found[f"p{p}_ns"] / 1e6 for p in PERCENTILES}


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
  summaryTrendStats: ['med', 'p(90)', 'p(95)', 'p(99)'],
  scenarios: {{ main: {{ executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s',
    duration: '{seconds}s', preAllocatedVUs: 50, maxVUs: 100 }} }},
}};
export default function () {{ http.get('{url}'); }}
""")
    run([program, "run", "--quiet", "--no-usage-report", "--summary-export", str(out), str(script)])
    trend = json.loads(out.read_text())["metrics"]["http_req_duration"]
    return {50: trend["med"], 90: trend["p(90)"], 95: trend["p(95)"], 99: trend["p(99)"]}


def vegeta(program, url, rate, seconds, work):
    attack = f"echo 'GET {url}' | {program} attack -rate={rate}/s -duration={seconds}s | {program} report -type=json"
    stdout, stderr, _ = run(["sh", "-c", attack])
    found = json.loads(stdout)["latencies"]
    return {p: found[f"{p}th"] / 1e6 for p in PERCENTILES}


def locust(program, url, rate, seconds, work):
    (work / "locustfile.py").write_text(
        "from locust import HttpUser, task\n\n\nclass User(HttpUser):\n    @task\n    def get(self):\n        self.client.get('/')\n")
    run([program, "-f", "locustfile.py", "--headless", "-u", "20", "-r", "20", "-t", f"{seconds}s", "--host",
         url.rstrip("/"), "--csv", "out", "--only-summary"], cwd=work)
    rows = list(csv.DictReader((work / "out_stats.csv").open()))
    row = next(row for row in rows if row["Name"] == "Aggregated")
    return {p: float(row[f"{p}%"]) for p in PERCENTILES}


TOOLS = {  # name in the table: (program, how)
    "sandbench": ("sandbench", sandbench),
    "wrk": ("wrk", wrk),
    "oha": ("oha", oha),
    "oha --latency-correction": ("oha", oha_corrected),
    "k6 arrival rate": ("k6", k6),
    "vegeta": ("vegeta", vegeta),
    "Locust": ("locust", locust),
}


class Server:
    """A server with a law, for one run of one tool."""

    def __init__(self, program, law):
        self.process = subprocess.Popen([program, law], stdout=subprocess.PIPE, text=True)
        self.url = f"http://{self.process.stdout.readline().strip()}/"

    def __enter__(self):
        return self.url

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def find(name, sandbench_program):
    return str(sandbench_program) if name == "sandbench" else shutil.which(name)


def right(measured, truth):
    return measured is not None and abs(measured - truth) <= max(FLOOR, truth * TOLERANCE)


def shown(value):
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    build = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    parser.add_argument("--sandbench", default=build / "sandbench")
    parser.add_argument("--server", default=build / "examples" / "truth_server")
    parser.add_argument("--only", help="names of tools, with commas between")
    parser.add_argument("--law", choices=LAWS)
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else list(TOOLS)
    wrong = []
    for law, (truth, rate, seconds) in LAWS.items():
        if arguments.law not in (None, law):
            continue
        true = {p: truth(p / 100, rate, seconds) for p in PERCENTILES}
        print(f"\n{law}, {rate}/s for {seconds} s: ms" + "".join(f"{f'p{p}':>10}" for p in PERCENTILES))
        print(f"{'the truth':<34}" + "".join(f"{shown(true[p]):>10}" for p in PERCENTILES))
        for name in only:
            program, how = TOOLS[name]
            found = find(program, arguments.sandbench)
            if not found:
                print(f"{name:<34}  not installed")
                continue
            with tempfile.TemporaryDirectory() as work, Server(arguments.server, law) as url:
                try:
                    measured = how(found, url, rate, seconds, pathlib.Path(work))
                except (RuntimeError, OSError, KeyError, ValueError, StopIteration, subprocess.TimeoutExpired) as error:
                    print(f"{name:<34}  failed: {error}")
                    wrong.append((law, name))
                    continue
            marks = "".join(f"{shown(measured[p]) + ('  ' if right(measured[p], true[p]) else ' ✗'):>10}" for p in PERCENTILES)
            print(f"{name:<34}{marks}", flush=True)
            if name == "sandbench" and not all(right(measured[p], true[p]) for p in PERCENTILES):
                wrong.append((law, name))
    if wrong:
        print("\nwrong or failed: " + ", ".join(f"{name} ({law})" for law, name in wrong))
    ours = [law for law, name in wrong if name == "sandbench"]
    return 1 if ours else 0


if __name__ == "__main__":
    sys.exit(main())
