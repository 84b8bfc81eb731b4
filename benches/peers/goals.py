"""What the peers bench is for: its goals, judged by the rounds of the same run.

A ratio is that of two tools in one round, next to each other in time; the table tells the median over all
rounds, the least and the most, and the median decides.
"""

import dataclasses
import statistics
from collections.abc import Callable

MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Goal:
    """What a measure shall come to."""

    what: str
    value: Callable  # of the figures of one round, by tool
    bound: float
    least: bool = False  # the bound is the least, not the most

    def row(self, found):
        """A line of the table."""
        measured = {name: figures for name, figures in found.items() if figures}
        rounds = [dict(zip(measured, figures, strict=True)) for figures in zip(*measured.values(), strict=False)]
        try:
            values = [self.value(figures) for figures in rounds]
        except KeyError as missing:
            return f"| {self.what} | {missing.args[0]}: no figures | |"
        if not values:
            return f"| {self.what} | no figures | |"
        middle = statistics.median(values)
        met = middle >= self.bound if self.least else middle <= self.bound
        return f"| {self.what} | {shown(middle)} ({shown(min(values))}–{shown(max(values))}) | {'yes' if met else '**no**'} |"


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def cost(share, peer, ours="sandbench"):
    """At most so much of a peer's processor time per operation."""
    what = f"at most {share} × the processor time: {peer}"
    return Goal(what, lambda figures: figures[ours].cost / figures[peer].cost, share)


def times(factor, peer, ours="sandbench::client"):
    """So many times a peer's operations per second of processor time."""
    what = f"at least {factor} × as many per second of processor time: {peer}"
    return Goal(what, lambda figures: figures[peer].cost / figures[ours].cost, factor, least=True)


def rate(factor, peer, ours="sandbench::client"):
    """So many times a peer's operations per second."""
    what = f"at least {factor} × as many per second: {peer}"
    return Goal(what, lambda figures: figures[ours].rate / figures[peer].rate, factor, least=True)


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


CLIENT, KUBECTL = "sandbench::client", "through `kubectl port-forward`"
ONE_STEP, MORE_STEPS = "one `sleep: 0s`", "21 of them"
FEW_SAMPLES, MANY_SAMPLES = "a million samples", "ten million"

GOALS = {
    "exec": [cost(1.3, "oha"), cost(0.5, "Goose"), cost(0.33, "k6")],
    "paced-1000": [cost(1.0, "oha")],
    "paced-5000": [cost(1.0, "oha")],
    "client": [times(2, "Go SDK"), times(15, "Python SDK, async"), times(30, "Python SDK, sync")],
    "claims": [
        Goal("at least 3,000 per second", lambda figures: figures[CLIENT].rate, 3_000, least=True),
        rate(3, "Go SDK"),
        times(3, "Go SDK"),
    ],
    "ready": [Goal("p99 at most 5 ms", lambda figures: quantile(figures[CLIENT].latencies, 0.99), 5)],
    "tunnel": [rate(2, KUBECTL), times(2, KUBECTL)],
    "start": [Goal("p50 at most 150 ms", lambda figures: quantile(figures["sandbench"].latencies, 0.5), 150)],
    "step": [
        Goal("at most 1 µs for one more step", lambda figures: (figures[MORE_STEPS].cost - figures[ONE_STEP].cost) / 20, 1),
    ],
    "samples": [
        Goal("at most 2 MiB more for ten times the samples", lambda figures: (figures[MANY_SAMPLES].memory - figures[FEW_SAMPLES].memory) / MIB, 2),
    ],
}


def rows(measure, title, found):
    """The goals of a measure, as lines of one table for all measures."""
    lines = [goal.row(found) for goal in GOALS[measure]]
    return [f"| {title if number == 0 else ''} {line}" for number, line in enumerate(lines)]


def table(lines):
    return "\n".join(["| what is measured | goal | came to | met |", "|---|---|---|---|", *lines])
