"""A study of cheap units that fail, or take their worker with them, on demand.

What a unit does beside counting is asked for in the environment, not in the unit, so
that it can fail once and succeed in the same folder later.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
from pydantic import BaseModel

from spikelearn.studies import Claim, Study, grid

SEEDS = 6


class Settings(BaseModel):
    seeds: int
    gains: list[float]
    quick: bool


def make_toy(*, quick: bool = False, seeds: int | None = None) -> Study:
    """Count something in no time."""
    gains = [0.5, 1.0] if quick else [0.5, 1.0, 1.5]
    settings = Settings(seeds=seeds or SEEDS, gains=gains, quick=quick)
    return Study(
        name="toy",
        title="Units that count",
        schema=1,
        settings=settings,
        units=grid(gain=settings.gains, seed=range(settings.seeds)),
        run=run_unit,
        claims=find_claims,
    )


def run_unit(unit):
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    here = f"{unit['gain']}:{unit['seed']}"
    if here == os.environ.get("TOY_FAILS"):
        raise ZeroDivisionError("as asked")
    if here == os.environ.get("TOY_DIES"):
        os.kill(os.getpid(), signal.SIGKILL)
    rng = np.random.default_rng(unit["seed"])
    curve = unit["gain"] * rng.standard_normal(4).cumsum()
    return {
        "loss": curve[-1],
        "curve": curve,
        "label": 'a "text", with a comma',
        "large": curve[0] > 0,
        "nothing": np.nan,
    }


def find_claims(rows):
    claim = Claim(
        id="mean",
        statement="The mean is what it is.",
        verdict="depends",
        effect=float(np.mean([row["loss"] for row in rows])),
        ci_low=-1.0,
        ci_high=float("inf"),
        n=SEEDS,
        test="none",
    )
    return [claim]
