"""Why a network with bad initial weights learns badly, and a local repair.

Two leaky ReLU networks start with recurrent weights of gain 3: their largest Lyapunov
exponent is positive, credit explodes. One of them flosses first: 60 trials without a
target, in which a neuromodulator (how far the exponents are from 0) times a tangent
eligibility of every synapse moves the weights. Then both learn delayed match to sample
by e-prop. Ten seconds; `--out FOLDER` also draws the modulator and two eligibilities.
"""

# %%
import argparse
from pathlib import Path

import numpy as np

import spikelearn as sl

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--iterations", type=int, default=700)
parser.add_argument("--gain", type=float, default=3.0)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, help="folder for flossing.png")
options = parser.parse_args()

task = sl.make_task(
    "dms",
    sample_ms=200.0,
    delay_ms=1500.0,
    test_ms=200.0,
    decision_ms=200.0,
    decision_only=True,
)


# %% Two trainers that differ in one argument
def trainer(flossing: sl.Flossing | None) -> sl.Trainer:
    network = sl.RecurrentNetwork(
        task.n_in,
        100,
        task.n_out,
        cell=sl.LeakyRate(tau_m=450.0),
        readout=sl.LeakyReadout(tau_out=0.0),
        dt=task.dt,
    )
    network.initialise(options.seed, gain=options.gain)
    return sl.Trainer(
        network,
        task,
        loss=sl.Classification(),
        rule=sl.EProp(),
        optimizer=sl.Adam(lr=1e-3),
        feedback=sl.Feedback("symmetric"),
        flossing=flossing,
        trainable=("w_in", "w_rec", "w_out"),
        clip_norm=1.0,
        seed=options.seed,
    )


plain = trainer(None)
flossed = trainer(sl.Flossing("spectrum", k=5))

# %% Floss: no target is shown
steps = [flossed.floss(episode) for episode in range(60)]
for episode in (0, 9, 59):
    exponents = np.array2string(steps[episode].exponents, precision=3, sign="+")
    print(f"episode {episode + 1:2d}: exponents per step {exponents}")

# %% Learn
for name, each in (("without", plain), ("with", flossed)):
    losses = [each.step().loss for _ in range(options.iterations)]
    scores = each.evaluate("test", 512)
    print(
        f"{name:>7} flossing: mean training loss {np.mean(losses):.3f}, "
        f"test loss {scores.loss:.3f}, accuracy {scores.accuracy:.1%}"
    )

# %% What a synapse has seen in the last trial of flossing
last = steps[-1]
first, second = last.eligibility(post=3, pre=7), last.eligibility(post=7, pre=3)
print(f"tangent eligibility of 7 -> 3, mean over trials: {first.mean():+.2e}")
if options.out:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    left.plot([step.exponents for step in steps])
    left.axhline(0, color="grey", lw=0.7)
    left.set(xlabel="trial of flossing", ylabel="exponents per step")
    right.plot(first.mean(axis=1), label="7 to 3")
    right.plot(second.mean(axis=1), label="3 to 7")
    right.set(xlabel="step of the trial", ylabel="tangent eligibility")
    right.legend()
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "flossing.png", dpi=120)
