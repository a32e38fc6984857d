"""Bellec et al. 2020, doi:10.1038/s41467-020-17236-y: the two tasks of e-prop.

Pattern generation (100 LIF cells, 2000 iterations) and evidence accumulation (50 LIF
and 50 ALIF cells, random feedback, batch 32). Shows that local learning solves both: a
sum of sines from frozen noise, and a decision that must be remembered for a second.

Expected: squared error from about 100 down to below 10; accuracy on new trials (mean
of the last 50 of 700 iterations) at least 93 %, else the exit status is 1. Ten
seconds, and one to two minutes.
"""

# %%
import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

import spikelearn as sl

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="a few iterations only")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
folder = Path(tempfile.mkdtemp())


def train(task: str, iterations: int) -> list[dict]:
    """Train with the published settings; return the metrics of every iteration."""
    overrides = [f"training.seed={options.seed}", f"iterations={iterations}"]
    config = sl.resolve_config({"task": {"name": task}}, overrides)
    run = sl.train(config, folder / task, threads=options.threads)
    return [r for r in run.folder.read_metrics() if r["split"] == "train"]


# %% Pattern generation
records = train("pattern-generation", 20 if options.quick else 2000)
losses = np.array([record["loss"] for record in records])
for k in np.unique(np.linspace(0, len(losses) - 1, 8).astype(int)):
    print(f"iteration {k:5d}: squared error {losses[k]:8.3f}")

# %% Evidence accumulation
records = train("evidence-accumulation", 3 if options.quick else 700)
accuracy = np.array([record["accuracy"] for record in records])
window = min(10, len(accuracy))
means = np.convolve(accuracy, np.ones(window) / window, "valid")
reached = np.flatnonzero(means >= 0.93)
first = f"iteration {reached[0] + window}" if reached.size else "not reached"
last = accuracy[-50:].mean()
print(f"mean accuracy of {window} iterations: 93 % first at {first}")
print(f"mean accuracy of the last {len(accuracy[-50:])} iterations: {last:.3f}")
if not options.quick and last < 0.93:
    sys.exit("below the expected 93 %")
