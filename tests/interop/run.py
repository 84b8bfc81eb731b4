#!/usr/bin/env python3
"""Upstream's own clients, unmodified, as referees of the loopback cluster.

Each client runs the lifecycle in every mode that it has, against `sandbench cluster up`. The verdicts
are printed as a table of client x mode x check; the exit status is 1 if one failed or is missing.

  tests/interop/run.py --sandbench target/release/sandbench --work DIR [--only TEXT] [--serving VERSIONS]

`--work` keeps the installed clients, so that a second run starts at once. A client that cannot be
installed is a failure.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import venv

HERE = pathlib.Path(__file__).resolve().parent
SYNC_CHECKS = [f"T{n}" for n in range(1, 21)]
GO_CHECKS = [f"G{n}" for n in range(1, 7)]
SNAPSHOT_CHECKS = [f"P{n}" for n in range(1, 11)]
KUBERNETES_CHECKS = [f"K{n}" for n in range(1, 9)]
OUR_MODES = ["gateway", "tunnel", "in-cluster", "in-cluster-pod-ip", "direct"]
# Of these, the ways that lead to sandboxd.
OUR_SANDBOXD_MODES = ["in-cluster", "in-cluster-pod-ip", "pod-tunnel"]
# What upstream's client is asked and ours has no such thing.
NOT_OURS = {"T2": "none", "T14": "none", "T15": "none"}
# On a cluster that serves v1alpha1 alone, a claim cannot have volumes.
NOT_OLD = {"T6": "none"}
# The Go SDK's integration test has a sub-test per check; opening and closing are the test itself.
GO_TESTS = {
    "TestIntegration_FullLifecycle": ["G1", "G6"],
    "TestIntegration_FullLifecycle/Run": ["G2"],
    "TestIntegration_FullLifecycle/WriteAndRead": ["G3"],
    "TestIntegration_FullLifecycle/Exists": ["G4"],
    "TestIntegration_FullLifecycle/List": ["G5"],
}
PYTHON_SDKS = {"0.4.6": "v1alpha1", "1.0.8": "v1beta1"}
# What each release needs for all of its modes.
PYTHON_EXTRAS = {"0.4.6": "async", "1.0.8": "async,grpc"}
# Modes of clients that speak to sandboxd instead of the legacy runtime.
SANDBOXD_MODES = ["sandboxd-pod-tunnel", "sandboxd-in-cluster-pod-ip", "sandboxd-in-cluster-service"]
MARKS = {"pass": "✓", "fail": "✗", "none": "-", None: "✗"}


@dataclasses.dataclass
class Row:
    client: str
    mode: str
    checks: list
    verdicts: dict
    details: list

    def failed(self):
        return any(self.verdicts.get(check) not in ("pass", "none") for check in self.checks)


class Cluster:
    """`sandbench cluster up` with upstream's usual objects in it."""

    def __init__(self, options, work, versions, *flags):
        # A home of its own: kubectl keeps what it has discovered there, by the server's address.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"home-{versions}-", dir=work))
        self.kubeconfig = self.home / "kubeconfig"
        flags = [*flags, *([] if versions == "v1beta1" else ["--api-versions", versions])]
        command = [options.sandbench, "cluster", "up", "--kubeconfig-out", str(self.kubeconfig), *flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(self.home))
        greeting = ""
        for line in self.process.stdout:
            greeting += line
            if line.startswith("Ctrl-C"):
                break
        else:
            raise SystemExit(f"the cluster did not start: {greeting}")
        self.router = re.search(r"router +(\S+)", greeting).group(1)
        self.dns = re.search(r"DNS +(\S+)", greeting).group(1)
        objects = (HERE / "objects.yaml").read_text()
        if versions == "v1alpha1":
            objects = objects.replace("k8s.io/v1beta1", "k8s.io/v1alpha1")
            objects = objects.replace("  volumeClaimTemplatesPolicy: Overrides\n", "")
        try:
            self.apply(objects, "python-sandbox-pool")
        except BaseException:
            self.end()
            raise

    def add_sandboxd(self):
        """A template and a warm pool of sandboxes that run sandboxd."""
        self.apply((HERE / "objects-sandboxd.yaml").read_text(), "sandboxd-pool")

    def apply(self, objects, pool):
        """Creates objects, and waits until their warm pool is full."""
        self.kubectl("apply", "-f", "-", input=objects)
        filled = "--for=jsonpath={.status.readyReplicas}=3"
        self.kubectl("wait", filled, f"sandboxwarmpool/{pool}", "--timeout=30s")

    def environment(self):
        return {**environment(self.home), "KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *words, **settings):
        command = ["kubectl", *words]
        done = subprocess.run(command, env=self.environment(), text=True, capture_output=True, **settings)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        return done.stdout

    def end(self):
        """Ctrl-C; whatever the clients left, the cluster itself leaves nothing."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=60)
        shutil.rmtree(self.home, ignore_errors=True)
        if code != 0:
            raise SystemExit(f"the cluster ended with {code}")


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KUBE")}
    direct = "127.0.0.0/8,localhost,.svc.cluster.local"
    return {**kept, "HOME": str(home), "NO_PROXY": direct, "no_proxy": direct}


def run(command, env, limit=300):
    """Output of a command, also of one that fails or takes too long."""
    try:
        done = subprocess.run(command, env=env, text=True, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired as late:
        text = late.stdout or b""
        return (text if isinstance(text, str) else text.decode()), f"not done within {limit} s"
    return done.stdout, done.stderr[-2000:]


# Suites that run beside each other need the same clients.
INSTALLING = threading.Lock()


def install(what, command, **settings):
    """A client that cannot be installed is a failure of the whole run, not a row less."""
    if subprocess.run(command, **settings).returncode != 0:
        raise SystemExit(f"{what} cannot be installed: {' '.join(str(word) for word in command)}")


def install_python(version, work):
    home = work / f"python-{version}"
    python = home / "bin" / "python"
    extras = PYTHON_EXTRAS[version]
    installed = home / f"installed-{extras}"
    with INSTALLING:
        if not installed.exists():
            venv.create(home, with_pip=True, clear=True)
            wanted = [f"k8s-agent-sandbox[{extras}]=={version}"]
            command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
            install(f"the Python SDK {version}", command)
            installed.touch()
    return python


def install_all(work):
    """Everything of others that the rows need."""
    for version in PYTHON_SDKS:
        install_python(version, work)
    for what in GO_PROGRAMS:
        build_go(work, what)


def python_row(python, version, mode, asynchronous, cluster):
    command = [python, HERE / "python" / "lifecycle.py", "--mode", mode]
    command += ["--api-url", cluster.router] if mode == "direct" else []
    command += ["--dns", cluster.dns] if mode == "sandboxd-in-cluster-service" else []
    command += ["--asynchronous"] if asynchronous else []
    verdicts, details = reported(command, cluster.environment(), SYNC_CHECKS)
    name = f"Python SDK {version} {'async' if asynchronous else 'sync'}"
    return Row(name, mode, SYNC_CHECKS, verdicts, details)


def python_rows(version, asynchronous, options, work):
    served = PYTHON_SDKS[version]
    if not wanted(options, f"Python SDK {version}", served):
        return
    python = install_python(version, work)
    with contextlib.closing(Ending(Cluster(options, work, served))) as ending:
        # The async SDK refuses the tunnel, which is a kubectl process.
        modes = ["gateway", "in-cluster", "direct"] + ([] if asynchronous else ["tunnel"])
        if "grpc" in PYTHON_EXTRAS[version]:
            ending.cluster.add_sandboxd()
            modes += SANDBOXD_MODES
        for mode in modes:
            yield python_row(python, version, mode, asynchronous, ending.cluster)


def reported(command, env, checks):
    """Verdicts and details of a program that prints a line per check."""
    output, errors = run([str(word) for word in command], env)
    verdicts, details = {}, []
    for line in output.splitlines():
        check, verdict, detail = (line.split("\t") + ["", ""])[:3]
        verdicts[check] = verdict
        if verdict == "fail":
            details.append(f"{check}: {detail}")
    if set(verdicts) != set(checks):
        details.append(errors)
    return verdicts, details


def kubernetes_rows(options, work):
    for version in PYTHON_SDKS.values():
        if not wanted(options, f"Python kubernetes {version}", version):
            continue
        python = install_python("1.0.8", work)
        with contextlib.closing(Ending(Cluster(options, work, version))) as ending:
            command = [python, HERE / "python" / "kubernetes_client.py", version]
            verdicts, details = reported(command, ending.cluster.environment(), KUBERNETES_CHECKS)
            yield Row("Python kubernetes", version, KUBERNETES_CHECKS, verdicts, details)


def snapshot_rows(options, work):
    for version, served in PYTHON_SDKS.items():
        name = f"Python SDK {version}, snapshots"
        if not wanted(options, name, served):
            continue
        python = install_python(version, work)
        with contextlib.closing(Ending(Cluster(options, work, served))) as ending:
            command = [python, HERE / "python" / "snapshots.py", ending.cluster.router]
            verdicts, details = reported(command, ending.cluster.environment(), SNAPSHOT_CHECKS)
            yield Row(name, "direct", SNAPSHOT_CHECKS, verdicts, details)


def checks_for_sandboxd(cluster):
    """The same checks, asked of sandboxes that run sandboxd."""
    text = (HERE / "checks.yaml").read_text()
    text = text.replace(f"[{', '.join(OUR_MODES)}]", f"[{', '.join(OUR_SANDBOXD_MODES)}]")
    text = text.replace("warmPool: python-sandbox-pool", "warmPool: sandboxd-pool\n  runtime: sandboxd")
    path = cluster.home / "checks-sandboxd.yaml"
    path.write_text(text)
    return path


def our_row(options, cluster, name, mode, api_url, absent=NOT_OURS, checks=HERE / "checks.yaml"):
    """Our own client: a scenario per check, so the verdict of a cell is the verdict of a check."""
    result = cluster.home / f"result-{mode}.json"
    command = [options.sandbench, "run", checks, "--cluster", "current", "--progress", "none"]
    command += ["--dns", cluster.dns, "--var", f"apiUrl={api_url}", "--out", f"json={result}"]
    for check in SYNC_CHECKS:
        command += ["--only", f"{check}[mode={mode}]"] if check not in absent else []
    output, errors = run([str(word) for word in command], cluster.environment())
    if not result.exists():
        return Row(name, mode, SYNC_CHECKS, {}, [output[-2000:], errors])
    summary = json.loads(result.read_text())
    words = {"passed": "pass"}
    verdicts = {cell["cell"].split("[")[0]: words.get(cell["verdict"], "fail") for cell in summary["cells"]}
    leaks = [text for text in [str(summary["leaks"])] if "nothing left behind" not in output]
    if leaks:
        verdicts["T1"] = "fail"
    details = [f"{group['cell']}: {group['message']}" for group in summary["failures"]] + leaks
    return Row(name, mode, SYNC_CHECKS, {**absent, **verdicts}, details)


def our_rows(options, work):
    for versions in ("v1beta1", "v1alpha1,v1beta1", "v1alpha1"):
        if not wanted(options, f"sandbench {versions}", versions):
            continue
        with contextlib.closing(Ending(Cluster(options, work, versions))) as ending:
            absent = {**NOT_OURS, **(NOT_OLD if versions == "v1alpha1" else {})}
            for mode in OUR_MODES:
                yield our_row(options, ending.cluster, f"sandbench {versions}", mode, ending.cluster.router, absent)


def our_sandboxd_rows(options, work):
    """Our client on sandboxd: the loopback cluster's, and upstream's own."""
    for name in ("sandbench, sandboxd", "upstream's sandboxd 0.5.6"):
        if not wanted(options, name, "v1beta1"):
            continue
        flags = []
        if name.startswith("upstream"):
            program = build_go(work, "sandboxd")
            flags = ["--sandboxd-program", str(program)]
        with contextlib.closing(Ending(Cluster(options, work, "v1beta1", *flags))) as ending:
            ending.cluster.add_sandboxd()
            checks = checks_for_sandboxd(ending.cluster)
            for mode in OUR_SANDBOXD_MODES:
                yield our_row(options, ending.cluster, name, mode, ending.cluster.router, checks=checks)


def free_port():
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return chosen.getsockname()[1]


@contextlib.contextmanager
def upstream_router(work, cluster):
    """Upstream's own router in front of the loopback cluster's pods."""
    program = build_go(work, "router")
    serving, probing = free_port(), free_port()
    command = [program, "-http-bind-address", f"127.0.0.1:{serving}", "-metrics-bind-address", "127.0.0.1:0"]
    command += ["-health-probe-bind-address", f"127.0.0.1:{probing}", "-allow-loopback-pod-ip"]
    command += ["-kubeconfig", cluster.kubeconfig]
    log = open(work / "router.log", "w")
    router = subprocess.Popen([str(word) for word in command], env=cluster.environment(), stderr=log, stdout=log)
    try:
        wait_for_ready(f"http://127.0.0.1:{probing}/readyz", router)
        yield f"http://127.0.0.1:{serving}"
    finally:
        router.terminate()
        router.wait(timeout=60)
        log.close()


def wait_for_ready(url, process):
    end = time.monotonic() + 30
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end and process.poll() is None:
        try:
            with opener.open(url, timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"{url} did not get ready")


def router_rows(options, work):
    if not wanted(options, "upstream's router", "v1beta1"):
        return
    with contextlib.closing(Ending(Cluster(options, work, "v1beta1"))) as ending:
        with upstream_router(work, ending.cluster) as url:
            yield our_row(options, ending.cluster, "upstream's router 0.5.6", "direct", url)


# What is built of upstream's Go sources.
GO_PROGRAMS = {
    "sandboxd": ["build", "sigs.k8s.io/agent-sandbox/packages/sandboxd/cmd/sandboxd"],
    "router": ["build", "sigs.k8s.io/agent-sandbox/sandbox-router/cmd"],
    "go-sdk.test": ["test", "-c", "-tags", "integration", "sigs.k8s.io/agent-sandbox/clients/go/sandbox"],
}


def build_go(work, name):
    target = work / name
    *what, package = GO_PROGRAMS[name]
    command = ["go", *what, "-o", str(target), package]
    # With the home of whoever runs this, so that the language's cache serves.
    install(f"upstream's {name}", command, cwd=HERE / "go", env={**os.environ, "GOFLAGS": "-mod=mod"})
    return target


def go_rows(options, work):
    if not wanted(options, "Go SDK", "v1beta1"):
        return
    program = build_go(work, "go-sdk.test")
    with contextlib.closing(Ending(Cluster(options, work, "v1beta1"))) as ending:
        cluster = ending.cluster
        modes = {
            "gateway": ["-gateway-name", "external-http-gateway"],
            "direct": ["-api-url", cluster.router],
            "tunnel": [],
        }
        for mode, flags in modes.items():
            command = [str(program), "-test.v", "-test.run", "TestIntegration", "-warmpool-name", "python-sandbox-pool"]
            env = {**cluster.environment(), "INTEGRATION_TEST": "1"}
            output, errors = run([*command, *flags], env)
            verdicts = {}
            for verdict, test in re.findall(r"--- (PASS|FAIL): (\S+)", output):
                for check in GO_TESTS.get(test, []):
                    verdicts[check] = verdict.lower()
            row = Row("Go SDK 0.5.6", mode, GO_CHECKS, verdicts, [])
            if row.failed():
                row.details.append((output + errors)[-2000:])
            yield row


@dataclasses.dataclass
class Ending:
    """Ends a cluster when its block ends."""

    cluster: Cluster

    def close(self):
        self.cluster.end()


def wanted(options, name, served):
    return options.only.lower() in name.lower() and options.serving in ("", served)


def table(rows):
    for checks in (SYNC_CHECKS, GO_CHECKS, SNAPSHOT_CHECKS, KUBERNETES_CHECKS):
        chosen = [row for row in rows if row.checks == checks]
        if not chosen:
            continue
        print(f"\n{'client':<27} {'mode':<27} " + " ".join(f"{check:>3}" for check in checks))
        for row in chosen:
            marks = " ".join(f"{MARKS[row.verdicts.get(check)]:>3}" for check in checks)
            print(f"{row.client:<27} {row.mode:<27} {marks}")
    print("\n✓ as the client expects   - not offered by this client   ✗ not so")


# The longest first.
SUITES = [
    *(functools.partial(python_rows, version, mode) for version in reversed(PYTHON_SDKS) for mode in (False, True)),
    our_rows,
    our_sandboxd_rows,
    snapshot_rows,
    go_rows,
    kubernetes_rows,
    router_rows,
]


def told(suite, options):
    """The rows of a suite, each told as soon as it is there."""
    rows = []
    for row in suite(options, options.work):
        verdict = "FAIL" if row.failed() else "ok  "
        details = "".join(f"\n     {detail}" for detail in row.details)
        print(f"{verdict} {row.client}, {row.mode}{details}\n", end="", flush=True)
        rows.append(row)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sandbench", type=lambda text: str(pathlib.Path(text).resolve()))
    parser.add_argument("--work", required=True, type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--only", default="", help="clients with this in their name")
    parser.add_argument("--serving", default="", help="only on clusters that serve these API versions")
    parser.add_argument("--install", action="store_true", help="install what the rows need, run none")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.install:
        install_all(options.work)
        return 0
    if not options.sandbench:
        parser.error("--sandbench is needed")
    # Clients wait for most of their time, so suites, each with clusters of its own, run beside each other.
    with concurrent.futures.ThreadPoolExecutor(max_workers=3) as pool:
        rows = [row for suite in pool.map(lambda suite: told(suite, options), SUITES) for row in suite]
    table(rows)
    failed = sum(row.failed() for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return int(failed > 0 or not rows)


sys.exit(main())
