#!/usr/bin/env python3
"""What traces cost a run: off, as by default, and all of them; and what it costs that nobody takes them.

    cargo build --release --bins --example noop_runtime
    pip install rotel                                  # the collector; without it only a dead receiver is tried
    python3 benches/telemetry/run.py                   # seven minutes
    python3 benches/telemetry/run.py --readme          # runs nothing: writes what was measured into README.md

Each way sends the same HTTP request to the same server that does nothing, at 1,000 iterations a second and as fast
as 16 virtual users can. The ways take turns, so that a machine that gets slower does so for all. The generator has a
core for itself; server and receivers share another. Processor time is that of the generator's process alone, as its
own result has it. Results are kept in target/telemetry.json.
"""

import argparse
import contextlib
import http.server
import importlib.util
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from bench import ROOT, machine, write_readme
from generator import GENERATOR, TARGET, pinned

RESULTS = ROOT / "target" / "telemetry.json"
DEAD = "http://127.0.0.1:9"  # the discard port: nobody listens
LOADS = {"1,000/s": "{ rate: 1000/s, duration: 2s, maxInFlight: 2000 }", "16 VUs": "{ vus: 16, duration: 2s }"}
ALL = ["--trace-sample", "100%", "--trace-max-rate", "none"]


def ways(collector, slow, rejecting):
    found = {"off": []}
    if collector:
        found["1 % and those kept (default)"] = ["--otlp-endpoint", collector]
        found["100 %"] = ["--otlp-endpoint", collector, *ALL]
    found["default, dead receiver"] = ["--otlp-endpoint", DEAD]
    found["100 %, dead receiver"] = ["--otlp-endpoint", DEAD, *ALL]
    for name, address in (("200 ms away", slow), ("rejecting", rejecting)):
        to = ["--otlp-protocol", "http/protobuf", "--otlp-endpoint", address]
        found[f"default, receiver {name}"] = to
        found[f"100 %, receiver {name}"] = [*to, *ALL]
    return found


@contextlib.contextmanager
def receiver(status, takes):
    """The address of a receiver that says this to everything, after this many seconds."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            time.sleep(takes)
            self.send_response(status)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def collector():
    """The address of a collector that takes everything and keeps nothing; None if it is not installed."""
    found = importlib.util.find_spec("rotel")
    if not found:
        yield None
        return
    with socket.socket() as listener, socket.socket() as other:
        listener.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, unused = listener.getsockname()[1], other.getsockname()[1]
    agent = pathlib.Path(found.origin).with_name("rotel-agent")
    command = [agent, "start", "--exporter", "blackhole", "--otlp-grpc-endpoint", f"127.0.0.1:{port}"]
    process = subprocess.Popen([*command, "--otlp-http-endpoint", f"127.0.0.1:{unused}"], stdout=subprocess.DEVNULL)
    try:
        while process.poll() is None and not listens(port):
            time.sleep(0.05)
        if process.returncode is not None:
            raise RuntimeError(f"the collector ended with {process.returncode}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def measure(sandbench, address, load, arguments):
    with tempfile.TemporaryDirectory() as work:
        scenario, out = pathlib.Path(work) / "telemetry.yaml", pathlib.Path(work) / "result.json"
        scenario.write_text(f"""version: 1
name: telemetry
target: {{ warmPool: none, mode: in-cluster-pod-ip }}
scenarios:
  telemetry:
    load: {load}
    steps:
      - http: {{ method: POST, url: "http://{address}/execute", json: {{ command: "true" }} }}
""")
        command = ["taskset", "-c", GENERATOR, sandbench, "run", scenario, "--out", f"json={out}", "--progress", "none", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        result = json.loads(out.read_text())
    rows = {row["metric"]: row for row in result["cells"][0]["metrics"] if "step" not in row}
    iterations = rows["iterations"]["value"]
    times = rows["iteration_duration"]["statistics"]
    dropped = rows.get("dropped_iterations", {}).get("value", 0)
    seconds = result["generator"]["cpu_cores_mean"] * result["run"]["duration_ms"] / 1e3
    spans = result.get("telemetry", {}).get("spans", {})
    return {
        "iterations": iterations,
        "samples": times["n"],
        "dropped": dropped,
        "cpu_us": seconds / iterations * 1e6,
        "p50_us": times["p50_ns"] / 1e3,
        "p99_us": times["p99_ns"] / 1e3,
        "made": spans.get("made", 0),
        "sent": spans.get("sent", 0),
        "failed": sum(spans.get(name, 0) for name in ("rejected", "failed", "unsent")),
        "lost": sum(count for name, count in spans.items() if name.startswith("dropped")),
    }


def run(arguments):
    # Of the receivers: some are in this process.
    os.sched_setaffinity(0, {int(TARGET)})
    results = {}
    with pinned([arguments.server], "") as address, collector() as taker, receiver(200, 0.2) as slow, receiver(400, 0) as rejecting:
        for number in range(arguments.rounds):
            for load, text in LOADS.items():
                for way, flags in ways(taker, slow, rejecting).items():
                    found = measure(arguments.sandbench, address, text, flags)
                    results.setdefault(load, {}).setdefault(way, []).append(found)
                    print(f"round {number + 1}, {load}, {way}: {found}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine(), "loads": results}, indent=1))
    print(table())


def table():
    kept = json.loads(RESULTS.read_text())
    lines = ["| load | traces | CPU per iteration | to off | p50 | p99 | spans made | sent | not taken | no room |"]
    lines.append("|---|---|" + "---:|" * 8)
    rounds = 0
    for load, by_way in kept["loads"].items():
        for way, all_rounds in by_way.items():
            rounds = len(all_rounds)
            of = {name: statistics.median(found[name] for found in all_rounds) for name in all_rounds[0]}
            # Paired: each round with `off` of the same round.
            ratio = statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in zip(all_rounds, by_way["off"]))
            cells = [f"{of['cpu_us']:.1f} µs", f"{ratio:.2f}×", f"{of['p50_us']:.0f} µs", f"{of['p99_us']:.0f} µs"]
            cells += [f"{of[name]:.0f}" for name in ("made", "sent", "failed", "lost")]
            lines.append(f"| {load} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + f"\n\nMedians of {rounds} rounds, {kept['machine']}.\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    build = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release"
    parser.add_argument("--sandbench", default=build / "sandbench")
    parser.add_argument("--server", default=build / "examples" / "noop_runtime")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--readme", action="store_true", help="write the table into README.md, run nothing")
    arguments = parser.parse_args()
    if arguments.readme:
        if not RESULTS.exists():
            sys.exit(f"nothing is measured yet: there is no {RESULTS}")
        write_readme("telemetry", table())
    else:
        run(arguments)


if __name__ == "__main__":
    main()
