"""What the benches share that put a generator on one core and its target on the other."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

from bench import ROOT

POOL = "python-sandbox-pool"
GENERATOR, TARGET = "0", "1"


def most_descriptors():
    """Thousands of pods in one process need many."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@dataclasses.dataclass
class Figures:
    """What one run of one tool came to."""

    operations: int
    seconds: float
    cpu: float  # seconds of processor time, user and system
    memory: int  # bytes, the most at any time
    latencies: list = dataclasses.field(default_factory=list)  # ms, of each operation, where they are asked for

    @property
    def cost(self):
        """Microseconds of processor time per operation."""
        return self.cpu / self.operations * 1e6

    @property
    def rate(self):
        return self.operations / self.seconds


def peak_memory(pid):
    """The most that a running process has had, in bytes. What the operating system says of one that has ended
    counts the memory of the process that started it too."""
    try:
        found = re.search(r"^VmHWM:\s*(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found.group(1)) * 1024 if found else 0


def measured(command, work, env=None, limit=300):
    """Runs a generator on its core; gives its output, its processor time and its peak memory."""
    command = ["taskset", "-c", GENERATOR, *[str(word) for word in command]]
    with open(work / "stdout", "w+") as stdout, open(work / "stderr", "w+") as stderr:
        began, peak = time.monotonic(), 0
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=env, cwd=work)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - began > limit:
                process.kill()
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        stdout.seek(0)
        stderr.seek(0)
        output, errors = stdout.read(), stderr.read()
    if process.returncode != 0:
        raise RuntimeError(f"{command[3]}: exit code {process.returncode}: {(errors or output)[-600:]}")
    return output, Figures(0, wall, usage.ru_utime + usage.ru_stime, peak)


def scenario(program, text, work, env, limit=300):
    """One of our scenarios, whole: language, engine, histograms; gives its result and what it cost."""
    (work / "scenario.yaml").write_text(text)
    out = work / "result.json"
    command = [program, "run", "scenario.yaml", "--cluster", "current", "--progress", "none", "--out", f"json={out}"]
    _, figures = measured(command, work, env, limit)
    return json.loads(out.read_text()), figures


def statistics_of(cell, metric):
    """The figures of a metric over all steps of a cell."""
    return next(row["statistics"] for row in cell["metrics"] if row["metric"] == metric and "step" not in row)


@contextlib.contextmanager
def pinned(command, last, env=None):
    """A server on its core, up to the line of its greeting that begins with `last`."""
    command = ["taskset", "-c", TARGET, *[str(word) for word in command]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    try:
        greeting = ""
        for line in process.stdout:
            greeting += line
            if line.startswith(last):
                break
        else:
            raise SystemExit(f"{command[3]} did not start: {greeting}")
        yield greeting.strip()
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def cluster(program, work, replicas=100):
    """The loopback cluster, with a warm pool in it."""
    home = work / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    kubeconfig = home / "kubeconfig"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    env = {**kept, "HOME": str(home), "KUBECONFIG": str(kubeconfig), "NO_PROXY": "127.0.0.0/8"}
    with pinned([program, "cluster", "up", "--kubeconfig-out", kubeconfig], "Ctrl-C", env):
        objects = (ROOT / "tests" / "interop" / "objects.yaml").read_text().replace("replicas: 3", f"replicas: {replicas}")
        subprocess.run(["kubectl", "apply", "-f", "-"], input=objects, text=True, check=True, env=env, stdout=subprocess.DEVNULL)
        filled = ["kubectl", "wait", f"--for=jsonpath={{.status.readyReplicas}}={replicas}", f"sandboxwarmpool/{POOL}", "--timeout=300s"]
        subprocess.run(filled, check=True, env=env, stdout=subprocess.DEVNULL)
        yield env
