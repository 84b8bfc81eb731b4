"""One life of a sandbox arrives as one tree at a collector that nobody here wrote.

Usage: telemetry.py SANDBENCH

`rotel` takes what `sandbench run` and the loopback cluster send, over gRPC and over HTTP with gzip, and passes it
on to a receiver made of OpenTelemetry's own Python messages. Of what arrives there: every iteration is one tree
without a gap, from the step to the controller and the router, every span that the report calls sent is there, and
the histograms have the counts of the report. Prints one of the trees.
"""

import collections
import concurrent.futures
import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import grpc
import rotel
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

AGENT = pathlib.Path(rotel.__file__).with_name("rotel-agent")
SCENARIO = """version: 1
name: telemetry
target: { warmPool: p, gateway: { name: g } }
scenarios:
  life:
    matrix: { mode: [gateway, tunnel] }
    load: { vus: 2, iterations: 10 }
    steps:
      - create: {}
      - exec: echo hello
      - write: { path: a.txt, content: hello }
      - read: a.txt
      - delete: {}
"""


class Receiver:
    """Remembers what comes: spans with their service, and metrics."""

    def __init__(self):
        self.spans, self.metrics = [], []


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, got):
        self.got = got

    def Export(self, request, _context):
        for resource in request.resource_spans:
            service = value_of(resource.resource.attributes, "service.name")
            for scope in resource.scope_spans:
                self.got.spans.extend((service, span) for span in scope.spans)
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, got):
        self.got = got

    def Export(self, request, _context):
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                self.got.metrics.extend(scope.metrics)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def value_of(attributes, key):
    return next((pair.value.string_value for pair in attributes if pair.key == key), None)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextlib.contextmanager
def receiver():
    got = Receiver()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(got), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(got), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield got, port
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def agent(target):
    """The collector, on a port for gRPC and one for HTTP."""
    over_grpc, over_http = free_port(), free_port()
    command = [AGENT, "start", "--exporter", "otlp", "--otlp-exporter-endpoint", f"http://127.0.0.1:{target}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{over_grpc}", "--otlp-http-endpoint", f"127.0.0.1:{over_http}"]
    with tempfile.TemporaryFile() as log:
        program = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            until(lambda: program.poll() is not None or (listens(over_grpc) and listens(over_http)))
            if program.poll() is not None:
                log.seek(0)
                sys.exit(f"the collector ended: {log.read().decode()}")
            yield over_grpc, over_http, program
        finally:
            program.terminate()
            program.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(done, limit=20):
    end = time.monotonic() + limit
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def run(sandbench, work, arguments):
    result = work / "result.json"
    scenario = work / "telemetry.yaml"
    scenario.write_text(SCENARIO)
    command = [sandbench, "run", scenario, "--out", f"json={result}", "--trace-sample", "100%", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        sys.exit(f"the run ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(result.read_text())


def trees(spans):
    """Every trace: its root, and the children of each span. Ends the program if one is not a tree."""
    by_trace = collections.defaultdict(list)
    for service, span in spans:
        by_trace[span.trace_id].append((service, span))
    found = []
    for members in by_trace.values():
        ids = {span.span_id for _, span in members}
        roots = [member for member in members if not member[1].parent_span_id]
        torn = [span.name for _, span in members if span.parent_span_id and span.parent_span_id not in ids]
        if len(roots) != 1 or torn:
            sys.exit(f"not one tree: {len(roots)} roots, spans without their parent: {sorted(torn)}")
        children = collections.defaultdict(list)
        for member in members:
            children[member[1].parent_span_id].append(member)
        found.append((roots[0], children, {service for service, _ in members}))
    return found


def draw(member, children, depth=0):
    service, span = member
    took = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
    print(f"  {'  ' * depth}{span.name}  [{service}]  {took:.2f} ms")
    for child in sorted(children[span.span_id], key=lambda child: child[1].start_time_unix_nano):
        draw(child, children, depth + 1)


def check(name, sandbench, arguments_of):
    with tempfile.TemporaryDirectory() as work, receiver() as (got, port), agent(port) as (over_grpc, over_http, program):
        result = run(sandbench, pathlib.Path(work), arguments_of(over_grpc, over_http))
        told = result["telemetry"]["spans"]

        def ours():
            return sum(service == "sandbench" for service, _ in got.spans)

        if not until(lambda: ours() >= told["sent"] and got.metrics):
            sys.exit(f"{name}: the report says that {told['sent']} spans were sent; {ours()} arrived")
        # What the collector still holds of router and controller, it passes on before it ends.
        program.terminate()
        program.wait()
        if ours() != told["sent"]:
            sys.exit(f"{name}: the report says that {told['sent']} spans were sent; {ours()} arrived")
        found = trees(got.spans)
        counted = sum(row["value"] for cell in result["cells"] for row in cell["metrics"] if row["metric"] == "iterations")
        if len(found) != counted or counted != 20:
            sys.exit(f"{name}: {counted} iterations, {len(found)} traces")
        for root, _, services in found:
            if len(services) < 3:
                sys.exit(f"{name}: {root[1].name} has spans of {sorted(services)} only")
        check_metrics(name, result, got.metrics)
        print(f"{name}: {len(got.spans)} spans in {len(found)} traces, each one tree; {len(got.metrics)} metrics")
        return found[0]


def check_metrics(name, result, metrics):
    """The last histogram of each cell has as many samples as the report."""
    last = {}
    for metric in metrics:
        if metric.name != "sandbench.exec_duration":
            continue
        for point in metric.exponential_histogram.data_points:
            last[(value_of(point.attributes, "sandbench.cell"), value_of(point.attributes, "sandbench.step"))] = point.count
    theirs = collections.Counter()
    for (cell, _), count in last.items():
        theirs[cell] += count
    ours = {}
    for cell in result["cells"]:
        rows = [row for row in cell["metrics"] if row["metric"] == "exec_duration" and "step" not in row]
        ours[cell["cell"]] = sum(row["statistics"]["n"] for row in rows)
    if dict(theirs) != ours:
        sys.exit(f"{name}: samples of exec_duration: the report has {ours}, the receiver {dict(theirs)}")


def main():
    sandbench = sys.argv[1]
    check("gRPC", sandbench, lambda grpc_port, _: ["--otlp-endpoint", f"http://127.0.0.1:{grpc_port}"])
    over_http = ["--otlp-protocol", "http/protobuf", "--otlp-compression", "gzip"]
    root, children, _ = check("HTTP, gzip", sandbench, lambda _, port: ["--otlp-endpoint", f"http://127.0.0.1:{port}", *over_http])
    draw(root, children)


if __name__ == "__main__":
    main()
