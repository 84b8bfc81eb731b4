#!/usr/bin/env python3
"""The peers bench: what an operation costs each tool that a user might pick, side by side.

    cargo build --release --bins --example noop_runtime --example client_loop --example memory
    python3 benches/peers/run.py --work DIR                    # everything: about half an hour
    python3 benches/peers/run.py --work DIR --only claims --rounds 3
    python3 benches/peers/run.py --work DIR --readme           # writes the tables into README.md

Each tool sends the same command to the same runtime that does nothing (or claims to the same loopback
cluster). The tools take turns, at least five rounds, so that a machine that gets slower does so for
all. The generator has core 0 for itself, what it is pointed at core 1. What counts is the processor
time of the generator's process, as the operating system accounts it when the process has ended.

Peers are installed by name: oha (crates.io), Goose (crates.io), k6 (Go module), wrk (Debian), the Go
SDK (Go module), the Python SDK (PyPI). One that cannot be installed is named in the table.
"""

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
import goals
from bench import ROOT, machine, write_readme
from generator import GENERATOR, POOL, Figures, cluster, measured, most_descriptors, peak_memory, pinned, scenario, statistics_of

BODY = '{"command":"true"}'
VUS = 50
CLAIMS_PER_SECOND, CLAIMS = 1_000, 3_000  # of the measure `ready`


@dataclasses.dataclass
class Bench:
    """What all tools share: programs, the target and the cluster."""

    work: pathlib.Path
    programs: dict
    url: str = ""
    cluster_env: dict = None
    first_port: int = 18_472  # where the first request of `start` goes

    def scenario(self, text, operations_metric):
        """One of our scenarios, with one cell."""
        result, figures = scenario(self.programs["sandbench"], text, self.work, self.cluster_env)
        cell = result["cells"][0]
        figures.operations = statistics_of(cell, operations_metric)["n"]
        figures.seconds = cell["duration_ms"] / 1000
        return figures

    def loop(self, command):
        """An SDK in a loop, which prints how many operations took how long."""
        output, figures = measured(command, self.work, self.cluster_env)
        found = json.loads(output.strip().splitlines()[-1])
        figures.operations, figures.seconds = found["operations"], found["seconds"]
        figures.latencies = found.get("latencies_ms", [])
        return figures


# Commands as fast as they go.


def our_exec(bench, count):
    text = f"""
version: 1
name: peers
target: {{ warmPool: {POOL}, mode: direct, apiUrl: "{bench.url}" }}
scenarios:
  exec:
    load: {{ vus: {VUS}, iterations: {VUS} }}
    timeout: 10m
    steps:
      - create: {{}}
      - exec: "true"
        repeat: {count // VUS}
"""
    return bench.scenario(text, "exec_duration")


def oha_exec(bench, count, *more):
    command = [bench.programs["oha"], "--no-tui", "--output-format", "json", "-c", VUS, "-n", count, *more]
    command += ["-m", "POST", "-H", "content-type: application/json", "-d", BODY, f"{bench.url}/execute"]
    output, figures = measured(command, bench.work)
    found = json.loads(output)
    figures.operations = sum(found["statusCodeDistribution"].values())
    figures.seconds = found["summary"]["total"]
    return figures


def wrk_exec(bench, count):
    script = bench.work / "post.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{BODY}'\nwrk.headers['content-type'] = 'application/json'\n")
    # wrk knows no number of requests; three seconds are enough for its figure to settle.
    command = [bench.programs["wrk"], "-t1", f"-c{VUS}", "-d3s", "-s", script, f"{bench.url}/execute"]
    output, figures = measured(command, bench.work)
    figures.operations = int(re.search(r"(\d+) requests in", output).group(1))
    figures.seconds = 3.0
    return figures


def goose_exec(bench, count):
    report = bench.work / "goose.json"
    command = [bench.programs["goose"], "--host", bench.url, "-u", VUS, "-r", VUS, "-t", "5", "--report-file", report]
    _, figures = measured(command, bench.work)
    found = json.loads(report.read_text())
    rows = [row for row in found["raw_metrics"]["requests"].values()]
    figures.operations = sum(row["success_count"] + row["fail_count"] for row in rows)
    figures.seconds = 5.0
    return figures


def k6_script(bench, options):
    script = bench.work / "script.js"
    script.write_text(f"""
import http from 'k6/http';
export const options = {{ {options} }};
const body = '{BODY}', params = {{ headers: {{ 'content-type': 'application/json' }} }};
export default function () {{ http.post('{bench.url}/execute', body, params); }}
""")
    out = bench.work / "k6.json"
    command = [bench.programs["k6"], "run", "--quiet", "--no-usage-report", "--summary-export", out, script]
    _, figures = measured(command, bench.work)
    found = json.loads(out.read_text())["metrics"]["http_reqs"]
    figures.operations, figures.seconds = int(found["count"]), found["count"] / found["rate"]
    return figures


def k6_exec(bench, count):
    return k6_script(bench, f"scenarios: {{ main: {{ executor: 'shared-iterations', vus: {VUS}, iterations: {count} }} }}")


# Commands at a rate.


def our_paced(rate):
    def run(bench, count):
        text = f"""
version: 1
name: peers
target: {{ warmPool: {POOL}, mode: in-cluster-pod-ip }}
scenarios:
  paced:
    load: {{ rate: {rate}/s, duration: {count // rate}s }}
    steps:
      - http: {{ method: POST, url: "{bench.url}/execute", body: '{BODY}', headers: {{ content-type: application/json }} }}
"""
        return bench.scenario(text, "http_duration")

    return run


def oha_paced(rate):
    return lambda bench, count: oha_exec(bench, count, "-q", rate, "--latency-correction")


def k6_paced(rate):
    def run(bench, count):
        options = f"executor: 'constant-arrival-rate', rate: {rate}, timeUnit: '1s', duration: '{count // rate}s'"
        return k6_script(bench, f"scenarios: {{ main: {{ {options}, preAllocatedVUs: {VUS} }} }}")

    return run


# SDKs in a loop.


def our_client(what):
    return lambda bench, count: bench.loop([bench.programs["client_loop"], what, url_for(bench, what), count, VUS])


def go_sdk(what):
    return lambda bench, count: bench.loop([bench.programs["go-sdk"], what, url_for(bench, what), count, VUS])


def python_sdk(style, what):
    def run(bench, count):
        script = HERE / "python" / "sdk_loop.py"
        return bench.loop([bench.programs["python-sdk"], script, style, what, url_for(bench, what), count, VUS])

    return run


def url_for(bench, what):
    return bench.url if what == "run" else "-"


def noticed(program):
    """How long after the controller's write each claim was seen Ready, on a cluster of its own."""

    def run(bench, count):
        with cluster(bench.programs["sandbench"], bench.work, CLAIMS) as env:
            output, figures = measured([bench.programs[program], "ready", "-", count, CLAIMS_PER_SECOND], bench.work, env)
            found = json.loads(output.strip().splitlines()[-1])
            listed = subprocess.run(["kubectl", "get", "sandboxclaims", "-o", "json"], env=env, check=True, capture_output=True, text=True)
        figures.operations, figures.seconds = found["operations"], found["seconds"]
        for claim in json.loads(listed.stdout)["items"]:
            seen = found["seen_ns"][claim["metadata"]["name"]]
            written = nanoseconds(claim["metadata"]["annotations"]["agents.x-k8s.io/claim-first-ready-at"])
            # Who is told of the status may be quicker than the controller's next write.
            figures.latencies.append(max(0, seen - written) / 1e6)
        return figures

    return run


def nanoseconds(text):
    """Since 1970, of a time as the controller writes it."""
    seconds, _, rest = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds).replace(tzinfo=datetime.UTC)
    return int(whole.timestamp()) * 1_000_000_000 + int((rest or "0").ljust(9, "0")[:9])


# Tunnels.


def our_tunnel(bench, count):
    return bench.loop([bench.programs["client_loop"], "read-tunnel", "-", count, VUS])


def kubectl_tunnel(bench, count):
    """The same client through `kubectl port-forward`; the processor time of both counts."""
    forward = ["taskset", "-c", GENERATOR, "kubectl", "port-forward", "-n", "agent-sandbox-system", "svc/sandbox-router-svc", ":8080", "--address", "127.0.0.1"]
    process = subprocess.Popen(forward, stdout=subprocess.PIPE, text=True, env=bench.cluster_env)
    try:
        port = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline()).group(1)
        figures = bench.loop([bench.programs["client_loop"], "read", f"http://127.0.0.1:{port}", count, VUS])
    finally:
        peak = peak_memory(process.pid)
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    figures.cpu += usage.ru_utime + usage.ru_stime
    figures.memory += peak
    return figures


# How soon the first request is there.


def first_request(bench, command, count):
    """From the start of the process to its first connection, so many times."""
    latencies, total = [], Figures(0, 0, 0, 0)
    for _ in range(count):
        with socket.create_server(("127.0.0.1", bench.first_port)) as server:
            began = time.monotonic()
            process = subprocess.Popen([str(word) for word in command], cwd=bench.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            server.settimeout(30)
            connection, _ = server.accept()
            latencies.append((time.monotonic() - began) * 1000)
            with connection:
                connection.recv(4096)
                total.memory = max(total.memory, peak_memory(process.pid))
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"exit code {process.returncode}")
        total.operations += 1
        total.seconds += time.monotonic() - began
        total.cpu += usage.ru_utime + usage.ru_stime
    total.latencies = latencies
    return total


def our_start(bench, count):
    (bench.work / "start.yaml").write_text(f"""
version: 1
name: start
target: {{ warmPool: python, mode: in-cluster-pod-ip }}
scenarios:
  start:
    steps:
      - http: http://127.0.0.1:{bench.first_port}/
""")
    return first_request(bench, [bench.programs["sandbench"], "run", "start.yaml", "--progress", "none"], count)


def k6_start(bench, count):
    (bench.work / "start.js").write_text(f"""
import http from 'k6/http';
export default function () {{ http.get('http://127.0.0.1:{bench.first_port}/'); }}
""")
    return first_request(bench, [bench.programs["k6"], "run", "--quiet", "--no-usage-report", "start.js"], count)


def our_claims(bench, count):
    text = f"""
version: 1
name: peers
target: {{ warmPool: {POOL}, mode: in-cluster-pod-ip }}
scenarios:
  claims:
    load: {{ vus: {VUS}, iterations: {count} }}
    steps:
      - create: {{}}
      - delete: {{}}
"""
    return bench.scenario(text, "sandbox_ready_duration")


# What our own steps and samples cost.


def our_steps(steps):
    """Iterations of so many steps that do nothing."""

    def run(bench, count):
        text = f"""
version: 1
name: peers
target: {{ warmPool: {POOL}, mode: in-cluster-pod-ip }}
scenarios:
  steps:
    load: {{ vus: 1, iterations: {count} }}
    steps:
      - sleep: 0s
        repeat: {steps}
"""
        return bench.scenario(text, "iteration_duration")

    return run


def our_samples(bench, count):
    began = time.monotonic()
    _, figures = measured([bench.programs["memory"], count], bench.work)
    figures.operations, figures.seconds = count, time.monotonic() - began
    return figures


# What is measured: title -> tools; a tool is (name, program, how, operations).
MEASURES = {
    "exec": (
        "`exec` through the whole tool, saturated",
        [
            ("sandbench", "sandbench", our_exec, 200_000),
            ("wrk", "wrk", wrk_exec, 0),
            ("oha", "oha", oha_exec, 200_000),
            ("Goose", "goose", goose_exec, 0),
            ("k6", "k6", k6_exec, 50_000),
        ],
    ),
    "paced-1000": (
        "the same request at 1,000/s",
        [
            ("sandbench", "sandbench", our_paced(1000), 5_000),
            ("oha", "oha", oha_paced(1000), 5_000),
            ("k6", "k6", k6_paced(1000), 5_000),
        ],
    ),
    "paced-5000": (
        "the same request at 5,000/s",
        [
            ("sandbench", "sandbench", our_paced(5000), 25_000),
            ("oha", "oha", oha_paced(5000), 25_000),
            ("k6", "k6", k6_paced(5000), 25_000),
        ],
    ),
    "client": (
        "the client alone: commands in one sandbox",
        [
            ("sandbench::client", "client_loop", our_client("run"), 200_000),
            ("Go SDK", "go-sdk", go_sdk("run"), 50_000),
            ("Python SDK, async", "python-sdk", python_sdk("async", "run"), 3_000),
            ("Python SDK, sync", "python-sdk", python_sdk("sync", "run"), 3_000),
        ],
    ),
    "claims": (
        "claims: create, wait until Ready, delete",
        [
            ("sandbench", "sandbench", our_claims, 5_000),
            ("sandbench::client", "client_loop", our_client("claims"), 5_000),
            ("Go SDK", "go-sdk", go_sdk("claims"), 1_000),
            ("Python SDK, async", "python-sdk", python_sdk("async", "claims"), 200),
            ("Python SDK, sync", "python-sdk", python_sdk("sync", "claims"), 200),
        ],
    ),
    "ready": (
        f"Ready noticed after the controller's write, {CLAIMS_PER_SECOND:,} claims/s asked for",
        [
            ("sandbench::client", "client_loop", noticed("client_loop"), CLAIMS),
            ("Go SDK", "go-sdk", noticed("go-sdk"), CLAIMS),
        ],
    ),
    "tunnel": (
        f"a file of 16 KiB read through a port-forward to the router, {VUS} at once",
        [
            ("sandbench::client", "client_loop", our_tunnel, 5_000),
            ("through `kubectl port-forward`", "client_loop", kubectl_tunnel, 2_000),
        ],
    ),
    "start": (
        "from the start of the process to the first request; ours with a loopback cluster in it",
        [
            ("sandbench", "sandbench", our_start, 10),
            ("k6", "k6", k6_start, 10),
        ],
    ),
    "step": (
        "iterations of steps that do nothing",
        [
            (goals.ONE_STEP, "sandbench", our_steps(1), 50_000),
            (goals.MORE_STEPS, "sandbench", our_steps(21), 50_000),
        ],
    ),
    "samples": (
        "memory for samples",
        [
            (goals.FEW_SAMPLES, "memory", our_samples, 1_000_000),
            (goals.MANY_SAMPLES, "memory", our_samples, 10_000_000),
        ],
    ),
}


# Installing.


def install(work, wanted, build):
    """The programs of the tools that are wanted; a tool that cannot be had is missing in it."""
    programs = {}
    for name in sorted(wanted):
        try:
            programs[name] = INSTALLERS[name](work, build)
        except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
            print(f"{name}: cannot be installed: {error}", file=sys.stderr)
    return programs


def ours(name):
    def find(work, build):
        program = build / ("sandbench" if name == "sandbench" else f"examples/{name}")
        if not program.exists():
            raise RuntimeError(f"no {program}: build it first, see --help")
        return program

    return find


def present_or(name, make):
    def find(work, build):
        found = shutil.which(name) or (work / "bin" / name if (work / "bin" / name).exists() else None)
        return found or make(work)

    return find


def make_wrk(work):
    subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], check=True, stdout=subprocess.DEVNULL)
    return shutil.which("wrk")


def make_oha(work):
    subprocess.run(["cargo", "install", "--quiet", "--locked", "--root", work, "oha"], check=True)
    return work / "bin" / "oha"


def make_k6(work):
    env = {**os.environ, "GOBIN": str(work / "bin")}
    subprocess.run(["go", "install", "go.k6.io/k6@latest"], check=True, env=env)
    return work / "bin" / "k6"


def make_goose(work, build):
    env = {**os.environ, "CARGO_TARGET_DIR": str(work / "goose-target")}
    subprocess.run(["cargo", "build", "--quiet", "--release"], check=True, cwd=HERE / "goose", env=env)
    return work / "goose-target" / "release" / "goose-peer"


def make_go_sdk(work, build):
    source = work / "go-sdk-source"
    shutil.copytree(HERE / "go", source, dirs_exist_ok=True)
    subprocess.run(["go", "mod", "tidy"], check=True, cwd=source, capture_output=True)
    subprocess.run(["go", "build", "-o", work / "go-sdk", "."], check=True, cwd=source)
    return work / "go-sdk"


def make_python_sdk(work, build):
    home = work / "python-sdk"
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
        pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "k8s-agent-sandbox[async]==1.0.8"], check=True)
        (home / "installed").touch()
    return home / "bin" / "python"


INSTALLERS = {
    "sandbench": ours("sandbench"),
    "client_loop": ours("client_loop"),
    "memory": ours("memory"),
    "wrk": present_or("wrk", make_wrk),
    "oha": present_or("oha", make_oha),
    "k6": present_or("k6", make_k6),
    "goose": make_goose,
    "go-sdk": make_go_sdk,
    "python-sdk": make_python_sdk,
}


# Measuring and telling.


def rounds_of(bench, tools, rounds):
    """The figures of each tool; the tools take turns, each round in another order."""
    found = {name: [] for name, *_ in tools}
    failed = {}
    for number in range(rounds):
        turn = tools[number % len(tools):] + tools[:number % len(tools)]
        for name, program, how, count in turn:
            if name in failed or program not in bench.programs:
                failed.setdefault(name, "could not be installed")
                continue
            try:
                found[name].append(how(bench, count))
            except (RuntimeError, OSError, ValueError, KeyError, StopIteration, AttributeError) as error:
                failed[name] = f"failed: {error}"
                print(f"{name}: {failed[name]}", file=sys.stderr)
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return found, failed


def spread(values, shown):
    return f"{shown(statistics.median(values))} ({shown(min(values))}–{shown(max(values))})"


def table(title, found, failed):
    title = title if title.startswith("`") else title[0].upper() + title[1:]
    with_latency = any(one.latencies for figures in found.values() for one in figures)
    head = ["tool", "CPU per operation, µs", "× ours", "per second", "peak memory"]
    head += ["p50, ms", "p99, ms"] if with_latency else []
    lines = [f"**{title}**", "", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    ours_cost = None
    for name, figures in found.items():
        if name in failed or not figures:
            lines.append(f"| {name} | {failed.get(name, 'not run').splitlines()[0][:80]} " + "| " * (len(head) - 2) + "|")
            continue
        cost = statistics.median(one.cost for one in figures)
        ours_cost = ours_cost or cost
        costs = spread([one.cost for one in figures], lambda value: f"{value:.1f}")
        rate = spread([one.rate for one in figures], lambda value: f"{value:,.0f}")
        memory = max(one.memory for one in figures) / (1 << 20)
        cells = [name, costs, f"{cost / ours_cost:.2f}", rate, f"{memory:.0f} MiB"]
        if with_latency:
            cells += [spread([goals.quantile(one.latencies, share) for one in figures], lambda value: f"{value:.2f}") for share in (0.5, 0.99)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    build = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    parser.add_argument("--work", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--build", default=build, type=pathlib.Path, help="directory of our own programs")
    parser.add_argument("--only", choices=MEASURES, action="append")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    most_descriptors()
    chosen = {name: MEASURES[name] for name in arguments.only or MEASURES}
    wanted = {"sandbench"} | {program for _, tools in chosen.values() for _, program, *_ in tools}
    bench = Bench(arguments.work, install(arguments.work, wanted, arguments.build))
    where = f"{machine()}, one core for the generator and one for the target"
    results = known(arguments.work, where)
    failures = 0
    with pinned([arguments.build / "examples" / "noop_runtime"], "") as address:
        bench.url = f"http://{address}"
        for measure, (title, tools) in chosen.items():
            print(title, file=sys.stderr)
            alone = measure in ("ready", "start")  # has clusters of its own
            with contextlib.nullcontext() if alone else cluster(bench.programs["sandbench"], bench.work) as bench.cluster_env:
                found, failed = rounds_of(bench, tools, arguments.rounds)
            failures += len(failed)
            text = table(title, found, failed) + f"\n\nMedian (min–max) of {arguments.rounds} rounds."
            results["tables"][measure] = text
            results["goals"][measure] = goals.rows(measure, title, found)
            (arguments.work / "peers.json").write_text(json.dumps(results))
            print(f"\n{text}\n\n{goals.table(results['goals'][measure])}\n", flush=True)
    if arguments.readme:
        done = [measure for measure in MEASURES if measure in results["tables"]]
        judged = goals.table([row for measure in done for row in results["goals"][measure]])
        in_order = [results["tables"][measure] for measure in done]
        write_readme("peers", "\n\n".join([f"Measured {where}.", judged, *in_order]) + "\n")
    return int(failures > 0)


def known(work, where):
    """The tables of earlier calls of this day on this machine, so that the bench can be run in pieces."""
    path = work / "peers.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    return results if results.get("where") == where else {"where": where, "tables": {}, "goals": {}}


if __name__ == "__main__":
    sys.exit(main())
