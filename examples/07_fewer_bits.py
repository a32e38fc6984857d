"""How few bits of a weight do: rounded after training, or while the network learns.

Trains the same network on digits in floating point and, for each number of bits, as
the integers that a chip would run: the rule gets the states of the integer emulator,
and its gradient moves the float weights behind the integers. What is scored is always
the emulator on test data.

Expected (three seeds, a minute): from 3 or 4 bits on, rounding in training is within
the spread of seeds of floating point; rounding afterwards loses half of the points with
2 bits and 5 with 4. `spikelearn precision RUN` does the same for a run on disk.
Needs: pip install -e '.[data,plot]'
"""

# %%
import argparse
from pathlib import Path

import numpy as np

import spikelearn as sl
from hardware.evaluation import evaluate_description
from hardware.quantization import quantise
from hardware.training import IntegerBackend

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--iterations", type=int, default=400)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--bits", type=int, nargs="+", default=[2, 3, 4, 5, 6, 8])
parser.add_argument("--out", type=Path, default=None, help="folder of the figure")
options = parser.parse_args()

task = sl.make_task("digits-rows")
loss = sl.Classification()
calibration = task.train_batch(0, 64, seed=0).x  # training data, never test data


# %% Two trainers differ in one argument, the backend that runs the network
def trained(bits: int | None, seed: int) -> sl.Trainer:
    network = sl.RecurrentNetwork(
        task.n_in,
        64,
        task.n_out,
        cell=sl.ALIF(tau_m=20.0, tau_a=50.0, beta=0.1, v_th=0.6),
        readout=sl.LeakyReadout(tau_out=20.0, scaling="unit"),
    )
    network.initialise(rng=seed)
    backend = None
    if bits is not None:
        backend = IntegerBackend.calibrated(
            network, calibration, input_bits=task.input_bits, bits=bits
        )
    trainer = sl.Trainer(
        network,
        task,
        loss=loss,
        rule=sl.EProp(),
        optimizer=sl.Adam(lr=5e-3),
        feedback=sl.Feedback("symmetric"),
        backend=backend,
        constraint=backend.project if backend else None,
        batch_size=64,
        iterations=options.iterations,
        schedule="cosine",
        seed=seed,
    )
    for _ in range(options.iterations):
        trainer.step()
    return trainer


def rounded(network: sl.RecurrentNetwork, bits: int) -> float:
    description, _ = quantise(
        network, calibration, input_bits=task.input_bits, bits=bits, strict=False
    )
    return evaluate_description(description, task, loss, "test").accuracy


# %% Floating point, once; then each number of bits, both ways
seeds = range(options.seeds)
plain = [trained(None, seed) for seed in seeds]
reference = np.mean([trainer.evaluate("test").accuracy for trainer in plain])
print(f"float: test accuracy {reference:.1%}")
after, aware = [], []
for bits in options.bits:
    after.append([rounded(trainer.network, bits) for trainer in plain])
    aware.append([trained(bits, seed).evaluate("test").accuracy for seed in seeds])
    print(
        f"{bits} bits: {np.mean(after[-1]):.1%} rounded after training, "
        f"{np.mean(aware[-1]):.1%} rounded in training"
    )

# %%
if options.out:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    axes.axhline(reference, color="grey", lw=0.8, label="float")
    for name, marker, scores in (
        ("rounded after training", "o", after),
        ("rounded in training", "s", aware),
    ):
        (line,) = axes.plot(options.bits, np.mean(scores, axis=1), label=name)
        axes.plot(options.bits, scores, marker, color=line.get_color(), ms=4)
    axes.set(xlabel="bits of a weight", ylabel="test accuracy", ylim=(0, 1))
    axes.legend(loc="lower right")
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "fewer_bits.png", dpi=120)
