"""Upstream's Python SDK, unmodified, against a cluster: its own checks T1-T20 with real verdicts.

Works with every SDK version from 0.4.6 on, sync and async: what differs is looked up in the SDK itself.
Prints one line per check: CHECK <tab> pass|fail|none <tab> detail. Exit status 1 if a check failed.
"""

import argparse
import asyncio
import importlib.metadata
import inspect
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import cluster_dns
from k8s_agent_sandbox import models
from k8s_agent_sandbox import exceptions
from k8s_agent_sandbox.sandbox_client import SandboxClient

VERSION = importlib.metadata.version("k8s-agent-sandbox")
BY_TEMPLATE = "template" in inspect.signature(SandboxClient.create_sandbox).parameters
LIMIT = 60.0
SANDBOXD_MODES = ["sandboxd-pod-tunnel", "sandboxd-in-cluster-pod-ip", "sandboxd-in-cluster-service"]


class NotOffered(Exception):
    """This client has no such thing."""


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", required=True, choices=["gateway", "tunnel", "in-cluster", "direct", *SANDBOXD_MODES])
    parser.add_argument("--api-url", default="")
    parser.add_argument("--dns", default="", help="name server of the cluster, for names of Services")
    parser.add_argument("--asynchronous", action="store_true")
    parser.add_argument("--child", choices=["cleanup", "keep"])
    return parser.parse_args()


ARGS = arguments()
POOL = "sandboxd-pool" if ARGS.mode in SANDBOXD_MODES else "python-sandbox-pool"
if ARGS.dns:
    cluster_dns.use(ARGS.dns)
LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)


def do(value):
    """The value, or what the coroutine gives."""
    return LOOP.run_until_complete(value) if inspect.isawaitable(value) else value


def config():
    if ARGS.mode == "gateway":
        return models.SandboxGatewayConnectionConfig(gateway_name="external-http-gateway")
    if ARGS.mode == "tunnel":
        return models.SandboxLocalTunnelConnectionConfig()
    if ARGS.mode == "in-cluster":
        return models.SandboxInClusterConnectionConfig()
    if ARGS.mode == "sandboxd-pod-tunnel":
        return models.SandboxdPodTunnelConnectionConfig()
    if ARGS.mode in SANDBOXD_MODES:
        return models.SandboxdInClusterConnectionConfig(mode=ARGS.mode.removeprefix("sandboxd-"))
    return models.SandboxDirectConnectionConfig(api_url=ARGS.api_url)


def new_client(**settings):
    if not ARGS.asynchronous:
        return SandboxClient(connection_config=config(), **settings)
    from k8s_agent_sandbox.async_sandbox_client import AsyncSandboxClient

    return AsyncSandboxClient(connection_config=config(), **settings)


def create(client, source=None, **settings):
    if BY_TEMPLATE:
        return do(client.create_sandbox(template=source or "python-sandbox-template", **settings))
    return do(client.create_sandbox(warmpool=source or POOL, **settings))


def attach(client, claim, **settings):
    return do(client.get_sandbox(claim, **settings))


def until(what, seconds=LIMIT):
    """Asks again until it holds; the last answer otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def gone(client, claim):
    def missing():
        try:
            # The SDK itself waits this many seconds for a claim that is not there.
            attach(client, claim, resolve_timeout=1)
        except Exception as error:  # noqa: BLE001 - the SDK versions differ in the type
            return "not found" in str(error).lower()
        return False

    return until(missing)


def low_level():
    """A plain Kubernetes client for what the SDK does not show."""
    import kubernetes

    kubernetes.config.load_kube_config()
    return kubernetes.client.CustomObjectsApi()


def objects(plural, name):
    group = "agents.x-k8s.io" if plural == "sandboxes" else "extensions.agents.x-k8s.io"
    version = "v1alpha1" if BY_TEMPLATE else "v1beta1"
    return low_level().get_namespaced_custom_object(group, version, "default", plural, name)


class Run:
    def __init__(self):
        self.client = new_client()
        self.first = None
        self.second = None

    def child(self, how):
        if "cleanup" not in inspect.signature(type(self.client).__init__).parameters:
            raise NotOffered("no clean-up at exit")
        command = [sys.executable, __file__, "--mode", ARGS.mode, "--child", how]
        command += ["--api-url", ARGS.api_url] if ARGS.api_url else []
        command += ["--dns", ARGS.dns] if ARGS.dns else []
        command += ["--asynchronous"] if ARGS.asynchronous else []
        output = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
        assert output.returncode == 0, output.stderr[-2000:]
        return output.stdout.strip().splitlines()[-1]

    def t1_clean_up_at_exit(self):
        claim = self.child("cleanup")
        assert gone(self.client, claim), f"{claim} is still there"

    def t2_no_clean_up_at_exit(self):
        claim = self.child("keep")
        sandbox = attach(self.client, claim)
        assert sandbox.is_active
        do(sandbox.terminate())
        assert gone(self.client, claim)

    def t3_two_sandboxes(self):
        self.first, self.second = create(self.client), create(self.client)
        names = {sandbox.claim_name for sandbox in (self.first, self.second)}
        active = do(self.client.list_active_sandboxes())
        assert names <= {claim for _, claim in active}, active
        every = do(self.client.list_all_sandboxes())
        assert names <= set(every), every

    def t4_reattach(self):
        again = attach(self.client, self.first.claim_name)
        assert again is self.first
        result = do(again.commands.run("echo 'Re-attached'"))
        assert (result.exit_code, result.stdout.strip()) == (0, "Re-attached"), result

    def t5_unknown_source(self):
        name = "SandboxTemplateNotFoundError" if BY_TEMPLATE else "SandboxWarmPoolNotFoundError"
        before = set(do(self.client.list_all_sandboxes()))
        try:
            create(self.client, "this-warmpool-does-not-exist-123", sandbox_ready_timeout=30)
        except getattr(exceptions, name) as error:
            assert "this-warmpool-does-not-exist-123" in str(error), error
        else:
            raise AssertionError("no error")
        assert until(lambda: set(do(self.client.list_all_sandboxes())) <= before), "the claim was left"

    def t6_volume(self):
        if "volume_claim_templates" not in inspect.signature(self.client.create_sandbox).parameters:
            raise NotOffered("no volumes at create")
        wanted = {
            "metadata": {"name": "custom-workspace"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "4Gi"}}},
        }
        sandbox = create(self.client, volume_claim_templates=[wanted])
        try:
            claim = objects("sandboxclaims", sandbox.claim_name)
            assert len(claim["spec"]["volumeClaimTemplates"]) == 1, claim["spec"]
            made = objects("sandboxes", sandbox.sandbox_id)["spec"]["volumeClaimTemplates"]
            assert [each["metadata"]["name"] for each in made] == ["workspace", "custom-workspace"], made
            assert made[1]["spec"]["resources"]["requests"]["storage"] == "4Gi", made
            import kubernetes

            core = kubernetes.client.CoreV1Api()
            name = f"custom-workspace-{sandbox.sandbox_id}"
            volume = core.read_namespaced_persistent_volume_claim(name, "default")
            assert volume.spec.resources.requests["storage"] == "4Gi", volume
            assert do(sandbox.commands.run("df -h")).exit_code == 0
        finally:
            do(sandbox.terminate())

    def t7_request_time(self):
        claim = objects("sandboxclaims", self.first.claim_name)
        text = claim["metadata"].get("annotations", {}).get("agents.x-k8s.io/client-first-requested-at")
        if text is None and VERSION.startswith("0.4"):
            raise NotOffered("no request time")
        when = datetime.fromisoformat(text)
        assert when.utcoffset() == timedelta(0), text
        assert abs(datetime.now(timezone.utc) - when) < timedelta(minutes=5), text

    def t8_status(self):
        if not hasattr(self.first, "status"):
            raise NotOffered("no status()")
        assert do(self.first.status())[0] == "SandboxReady", do(self.first.status())

    def t9_run(self):
        result = do(self.first.commands.run("echo 'Hello from the sandbox!'"))
        assert (result.exit_code, result.stdout) == (0, "Hello from the sandbox!\n"), result

    def t10_look_around(self):
        for command in ["ls -la .", "env"]:
            result = do(self.first.commands.run(command))
            assert result.exit_code == 0 and result.stdout, result

    def t11_write_and_read(self):
        do(self.first.files.write("test.txt", "This is a test file."))
        assert do(self.first.files.read("test.txt")) == b"This is a test file."

    def t12_exists(self):
        assert do(self.first.files.exists("test.txt")) is True
        assert do(self.first.files.exists("non_existent_file.txt")) is False

    def t13_list(self):
        directory = "."
        if ARGS.asynchronous != (ARGS.mode in SANDBOXD_MODES):
            # The HTTP library of the async SDK makes `list/.` to `list`, that of the sync SDK `files/%2E`
            # to `files/.`: upstream's runtimes redirect both, and the SDK refuses.
            directory = "copies"
            do(self.first.commands.run("mkdir -p copies"))
            do(self.first.commands.run("cp test.txt copies/test.txt"))
        entries = {entry.name: entry for entry in do(self.first.files.list(directory))}
        assert entries["test.txt"].size == 20 and entries["test.txt"].type == "file", entries

    def t14_empty_answer(self):
        raise NotOffered("a test of the SDK against a stub; no cluster takes part")

    t15_wrong_entry_type = t14_empty_answer

    def t16_close(self):
        close = getattr(self.first, "close_connection", None) or getattr(self.first, "_close_connection")
        do(close())
        assert not self.first.is_active
        active = do(self.client.list_active_sandboxes())
        assert self.first.claim_name not in {claim for _, claim in active}, active
        assert objects("sandboxclaims", self.first.claim_name)

    def t17_attach_anew(self):
        again = attach(self.client, self.first.claim_name)
        assert again is not self.first and again.is_active
        assert do(again.files.read("test.txt")) == b"This is a test file."
        self.first = again

    def t18_terminate(self):
        claim = self.first.claim_name
        do(self.first.terminate())
        assert gone(self.client, claim), f"{claim} is still there"

    def t19_delete_all(self):
        claim = self.second.claim_name
        assert self.second.is_active
        do(self.client.delete_all())
        assert do(self.client.list_active_sandboxes()) == []
        assert not self.second.is_active
        assert self.second.commands is None and self.second.files is None
        self.second_claim = claim

    def t20_gone(self):
        assert gone(self.client, self.second_claim), f"{self.second_claim} is still there"


def child():
    if ARGS.child == "cleanup":
        client = new_client(cleanup=True)
    else:
        client = new_client(cleanup=False)
    print(create(client).claim_name, flush=True)


def main():
    if ARGS.child:
        child()
        return 0
    run = Run()
    checks = sorted(
        (int(name[1 : name.index("_")]), name) for name in dir(run) if name[0] == "t" and name[1].isdigit()
    )
    failed = False
    for number, name in checks:
        try:
            getattr(run, name)()
            verdict, detail = "pass", name
        except NotOffered as reason:
            verdict, detail = "none", str(reason)
        except BaseException as error:  # noqa: BLE001 - every failure is a verdict
            verdict, detail = "fail", f"{type(error).__name__}: {error}"[:600].replace("\n", " ")
            failed = True
        print(f"T{number}\t{verdict}\t{detail}", flush=True)
    if ARGS.asynchronous:
        close = getattr(run.client, "close", None)
        if close is not None:
            do(close())
    return int(failed)


sys.exit(main())
