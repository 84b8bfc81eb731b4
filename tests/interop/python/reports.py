"""What the libraries of others read in our reports is what the result says.

Usage: reports.py RESULT.json RESULT.hlog RESULT.prom RESULT.xml SCHEMA.xsd

The HdrHistogram log is read with `hdrhistogram`, the metrics with the parser of `prometheus_client`, the
JUnit XML with the XML parser of Python; it must be valid by the schema. Every percentile must be the same to the nanosecond.
"""

import json
import math
import re
import sys
import xml.etree.ElementTree as ElementTree

import xmlschema
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from prometheus_client.parser import text_string_to_metric_families

LONGEST = 3600 * 10**9
QUANTILES = {"p50_ns": 50.0, "p90_ns": 90.0, "p95_ns": 95.0, "p99_ns": 99.0}


def same(what, ours, theirs):
    if ours != theirs:
        sys.exit(f"{what}: we say {ours}, the library says {theirs}")


def tag(cell, series):
    labels = ",".join(f"{name}:{value}" for name, value in sorted(series.get("labels", {}).items()))
    labels = f"{{{labels}}}" if labels else ""
    return f"{cell}/{series['metric']}{labels}".replace(",", ";").replace(" ", "_")


def snake(name):
    return re.sub("([A-Z])", lambda found: "_" + found[1].lower(), name)


def percentile(histogram, share):
    """The smallest value that at least this share of the samples does not exceed, as the libraries of Java
    and Rust have it; `get_value_at_percentile` of Python rounds the rank and may be one sample below."""
    rank = max(1, math.ceil(share * histogram.get_total_count() / 100))
    for item in histogram.get_recorded_iterator():
        if item.total_count_to_this_value >= rank:
            return min(histogram.get_highest_equivalent_value(item.value_iterated_to), histogram.get_max_value())
    return 0


def check_hlog(result, path):
    """Every interval of every series, and their sum against the series of the whole cell."""
    expected, totals = {}, {}
    for cell in result["cells"]:
        for window in cell.get("windows", []):
            for series in window["metrics"]:
                if "statistics" in series:
                    at = (cell["started_ms"] + window["from_ms"]) / 1000
                    expected[(tag(cell["cell"], series), f"{at:.3f}")] = series["statistics"]
        for series in cell["metrics"]:
            if "statistics" in series and "step" not in series and cell.get("windows"):
                totals[tag(cell["cell"], series)] = series["statistics"]
    reader = HistogramLogReader(path, HdrHistogram(1, LONGEST, 3))
    sums, seen, base = {}, 0, None
    while (interval := reader.get_next_interval_histogram()) is not None:
        base = reader.base_time_sec if base is None else base
        begin = interval.get_start_time_stamp() / 1000 - base
        statistics = expected[(interval.get_tag(), f"{begin:.3f}")]
        same(f"count of {interval.get_tag()}", statistics["n"], interval.get_total_count())
        for name, share in QUANTILES.items():
            value = percentile(interval, share)
            same(f"{name} of {interval.get_tag()} at {begin}", statistics[name], value)
        sums.setdefault(interval.get_tag(), HdrHistogram(1, LONGEST, 3)).add(interval)
        seen += 1
    same("intervals", len(expected), seen)
    for name, statistics in totals.items():
        same(f"sum of {name}", statistics["n"], sums[name].get_total_count())
        for quantile, share in QUANTILES.items():
            value = percentile(sums[name], share)
            same(f"{quantile} of all of {name}", statistics[quantile], value)
    return seen


def check_prom(result, path):
    with open(path, encoding="utf-8") as file:
        families = {family.name: family for family in text_string_to_metric_families(file.read())}
    seen = 0
    for cell in result["cells"]:
        for series in cell["metrics"]:
            if "statistics" not in series or "step" in series:
                continue
            family = families[f"sandbench_{series['metric']}_seconds"]
            same("type", "summary", family.type)
            values = {
                sample.labels.get("quantile", sample.name): sample.value
                for sample in family.samples
                if sample.labels["cell"] == cell["cell"]
                and all(sample.labels.get(snake(name)) == value for name, value in series.get("labels", {}).items())
            }
            same("p99", series["statistics"]["p99_ns"] / 1e9, values["0.99"])
            same("count", series["statistics"]["n"], values[f"{family.name}_count"])
            seen += 1
    return seen


def check_junit(result, path, schema):
    for error in xmlschema.XMLSchema(schema).iter_errors(path):
        sys.exit(f"{path} is not valid: {error.path}: {error.reason}")
    root = ElementTree.parse(path).getroot()
    same("root", "testsuites", root.tag)
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}
    for cell in result["cells"]:
        suite = suites[cell["cell"]]
        cases = list(suite.iter("testcase"))
        failed = [case for case in cases if case.find("failure") is not None]
        same(f"tests of {cell['cell']}", suite.get("tests"), str(len(cases)))
        same(f"failures of {cell['cell']}", suite.get("failures"), str(len(failed)))
        if cell["verdict"] == "failed" and not failed:
            sys.exit(f"{cell['cell']} failed and no case of it did")
    return len(suites)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    intervals = check_hlog(result, sys.argv[2])
    series = check_prom(result, sys.argv[3])
    suites = check_junit(result, sys.argv[4], sys.argv[5])
    print(f"the same: {intervals} intervals, {series} summaries, {suites} suites")


main()
