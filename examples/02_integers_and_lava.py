"""From a trained run to integers, and Lava's word on every one of them.

Trains (or continues) a small run on disk, quantises it to 8-bit weights, compares the
integer emulator with the float network on test data, and verifies u, v, adaptation,
spikes and readout against Lava's Loihi processes, value by value.

Expected: float and integer accuracy within a few points, 0 differing values.
Needs: pip install -e '.[data,lava]' and, for the last cell, lava-nc (see the README).
"""

# %%
import argparse
import dataclasses
import tempfile
from pathlib import Path

import numpy as np

import spikelearn as sl
from hardware import emulator
from hardware.evaluation import evaluate_description
from hardware.quantization import integer_input, quantise
from hardware.verification import verify

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--iterations", type=int, default=400)
parser.add_argument("--samples", type=int, default=10)
parser.add_argument("--out", default=None, help="run folder (default: temporary)")
parser.add_argument("--no-lava", dest="lava", action="store_false")
options = parser.parse_args()

# %% A run on disk: config.toml, metrics, checkpoint, result
out = Path(options.out or Path(tempfile.mkdtemp()) / "digits")
config = sl.resolve_config(
    {"task": {"name": "digits-rows"}},
    [f"iterations={options.iterations}", "n_rec=64"],
)
run = sl.resume(out) if (out / "config.toml").exists() else sl.train(config, out)
print(f"float accuracy {run.folder.result()['test']['accuracy']:.1%}")

# %% Integers: scales are searched on training data, never on test data
calibration = run.task.train_batch(0, 64, 0).x
description, report = quantise(
    run.network, calibration, input_bits=run.task.input_bits, bits=8
)
for block in report.blocks:
    print(
        f"{block.name}: mantissas up to {block.largest_mantissa}, exponent "
        f"{block.exponent}, error {block.relative_error:.1%}"
    )
scores = evaluate_description(description, run.task, run.loss, "test")
print(f"integer accuracy {scores.accuracy:.1%}")

# %% Test vectors make the file checkable anywhere
batch = next(iter(run.task.evaluation("test", options.samples, options.samples)))
x = integer_input(batch.x, description.input_bits)
vectors = emulator.run(description, x).vectors(x, np.asarray(batch.target))
description = dataclasses.replace(description, vectors=vectors)
description.save(out / "network.h5")

# %% Lava runs the same integers in a child process
if options.lava:
    outcome = verify(description, against="lava")
    print(
        f"{outcome.differing_values} of all values differ over {outcome.samples} "
        f"samples x {outcome.steps} steps ({outcome.seconds:.0f} s)"
    )
