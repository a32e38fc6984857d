"""What is promised: how many times faster than peers, by workload; one line each."""

from __future__ import annotations

import math
from dataclasses import dataclass

OUR_TOLERANCE = 1e-5  # of gradients, relative to float64
PEER_TOLERANCE = 1e-4  # the same for a peer that claims the same gradient
SPIKE_TOLERANCE = 0.01  # of the number of spikes of a peer with the same model


@dataclass(frozen=True)
class Bar:
    """A lower bound of peer time / our time; None is reported without a bound.

    `against` is what the names of the peers have to start with; "" is all of them.
    """

    workload: str
    at_least: float | None
    against: str = ""


@dataclass(frozen=True)
class ScalingBar:
    """An upper bound of the exponent of our time in the number of neurons."""

    workloads: tuple[str, ...]
    below: float


def _sizes(cell):
    return tuple(f"w3_{cell}_{n}_b1" for n in (300, 1000, 3000))


BARS = (
    Bar("w1_b1", 10),
    Bar("w1_b1_10pct", None),
    Bar("w1_b32", 7),
    Bar("w1_b32_10pct", None),
    Bar("w2_pat", 15),
    Bar("w2_pat", 100, "nest"),
    Bar("w2_ev", 9),
    *(Bar(f"w3_{cell}_{n}_b1", None) for n in (100, 300) for cell in ("lif", "alif")),
    Bar("w3_lif_1000_b1", 20),
    Bar("w3_alif_1000_b1", 20),
    *(Bar(f"w3_{cell}_3000_b1", None) for cell in ("lif", "alif")),
    *(
        Bar(f"w3_{cell}_{n}_b16", None)
        for n in (100, 300, 1000, 3000)
        for cell in ("lif", "alif")
    ),
    *(Bar(f"bptt_alif_{n}_b{b}", 5, "jax") for n in (100, 300) for b in (1, 16)),
    *(Bar(f"w4_cuba_{n}", 3) for n in (4000, 20_000)),
    *(Bar(f"lyapunov_{cell}_300", 5) for cell in ("relu", "lif")),
    *(Bar(f"lyapunov_{cell}_300_float32", None) for cell in ("relu", "lif")),
)

TRACES_BAR = 0.45  # of the multiply-adds that one core can do, measured in the same run
TRACES_SIZES = (100, 200, 300)

SCALING_BARS = (ScalingBar(_sizes("lif"), 2.0), ScalingBar(_sizes("alif"), 2.0))


def compare(bar, result):
    """Return the row of a bar: `result` is what `race.race` says of its workload.

    `ok` is False where the ratio is below the bar or is missing, or where our gradient
    is wrong. Peers with wrong gradients or other spikes than the same model has are not
    raced against.
    """
    able = {
        name: peer
        for name, peer in result["peers"].items()
        if name.startswith(bar.against) and peer["error"] is None
    }
    fastest = min(able, key=lambda name: able[name]["ms"], default=None)
    peer_ms = able[fastest]["ms"] if fastest else None
    ratio = peer_ms / result["ours_ms"] if fastest else None
    error = result["gradient_error"]
    right = error is None or error <= result.get("tolerance", OUR_TOLERANCE)
    reached = bar.at_least is None or (ratio is not None and ratio >= bar.at_least)
    return {
        "workload": bar.workload,
        "against": bar.against or "fastest",
        "ours_ms": result["ours_ms"],
        "fastest_peer": fastest,
        "peer_ms": peer_ms,
        "ratio": ratio,
        "bar": bar.at_least,
        "gradient_error": error,
        "ok": right and reached,
    }


def scaling(bar, results):
    """Return the row of an exponent: `ratio` is the bound over it, its bar is 1."""
    sizes = [results[name]["n_rec"] for name in bar.workloads]
    times = [results[name]["ours_ms"] for name in bar.workloads]
    exponent = slope([math.log(n) for n in sizes], [math.log(t) for t in times])
    ratio = bar.below / exponent if exponent > 0 else math.inf
    first, last = bar.workloads[0], bar.workloads[-1]
    return {
        "workload": f"exponent {first} .. {last}",
        "against": "power law",
        "ours_ms": times[-1],
        "fastest_peer": None,
        "peer_ms": None,
        "ratio": ratio,
        "bar": 1.0,
        "exponent": exponent,
        "gradient_error": None,
        "ok": exponent < bar.below,
    }


def traces(n_rec, measured):
    """Return the row of explicit traces: `ratio` is their share of the FMA limit."""
    share = measured["fraction"]
    return {
        "workload": f"traces_alif_{n_rec}",
        "against": "FMA limit",
        "ours_ms": measured["milliseconds"],
        "fastest_peer": None,
        "peer_ms": share * measured["milliseconds"],
        "ratio": share,
        "bar": TRACES_BAR,
        "gradient_error": None,
        "ok": share >= TRACES_BAR,
    }


def slope(x, y):
    """Return the slope of the least-squares line."""
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    centred = [a - mean_x for a in x]
    over = sum(c * (b - mean_y) for c, b in zip(centred, y, strict=True))
    return over / sum(c * c for c in centred)
