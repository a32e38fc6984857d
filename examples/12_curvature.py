"""Where do rules end up: how sharp is the loss there, and what do few bits cost?

Two leaky tanh networks learn to read digits row by row with plain gradient descent, one
by backpropagation through time, one by e-prop. Along training: the largest eigenvalue
of the Hessian over the recurrent weights beside the bounds of stability 2/eta and
2/(rho eta), where rho is the part of the true gradient that the rule keeps. At the end:
a slice of the loss, its growth when the weights are rounded, and the gap to trials that
were never trained on. From the command line: spikelearn curvature RUN --out map.png

Expected: e-prop keeps about a seventh of the gradient and stays where the eigenvalue is
above 2/eta, at which descent along the whole gradient could not stay, and below 2/(rho
eta); there fewer bits cost more. Fifteen seconds; `--out FOLDER` draws all of it.
"""

# %%
import argparse
from pathlib import Path

import numpy as np

import spikelearn as sl
from spikelearn.analysis.curvature_points import stability_bound
from spikelearn.analysis.loss_slices import loss_slice
from spikelearn.analysis.sharpness import sharpness_by_bits

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--iterations", type=int, default=1000)
parser.add_argument("--lr", type=float, default=0.3)
parser.add_argument("--out", type=Path, help="folder for curvature.png")
options = parser.parse_args()

task = sl.make_task("digits-rows")
batch = next(task.evaluation("validation", 200, 200))
loss = sl.Classification()


# %% Train by two rules, and look at the curvature on the way
def trainer(rule: sl.Rule) -> sl.Trainer:
    network = sl.RecurrentNetwork(
        task.n_in,
        48,
        task.n_out,
        cell=sl.LeakyRate(tau_m=2.0, activation="tanh"),
        readout=sl.LeakyReadout(tau_out=0.0),
        dt=task.dt,
    )
    network.initialise(0, gain=1.2)
    return sl.Trainer(
        network,
        task,
        loss=loss,
        rule=rule,
        optimizer=sl.SGD(lr=options.lr),
        feedback=sl.Feedback("symmetric"),
        batch_size=32,
        seed=0,
    )


bound = stability_bound(options.lr)
marks = np.unique(np.linspace(0, options.iterations, 6).astype(int))
found: dict[str, list[tuple[float, float]]] = {}
networks: dict[str, sl.RecurrentNetwork] = {}
for rule in (sl.BPTT(), sl.EProp()):
    name = rule.info.name
    learner, found[name] = trainer(rule), []
    networks[name] = learner.network
    for iteration in range(options.iterations + 1):
        if iteration in marks:
            largest, _ = sl.extreme_eigenvalues(
                learner.network, batch, loss, tolerance=1e-3
            )
            kept = sl.rule_component(learner.network, batch, loss, rule)
            found[name].append((largest.value, kept.rho))
            print(
                f"{name:>6} {iteration:5d}: largest eigenvalue {largest.value:6.2f}, "
                f"2/eta {bound:.2f}, rho {kept.rho:.2f}, cosine {kept.cosine:.2f}, "
                f"2/(rho eta) {bound / kept.rho:.2f}"
            )
        if iteration < options.iterations:
            learner.step()

# %% At the end: generalisation, rounding, noise
bits = {}
for name, network in networks.items():
    options_of_run = {"seed": 0, "batch_size": 32, "iterations": options.iterations}
    gaps = sl.generalisation(network, task, loss, samples=300, **options_of_run)
    print(
        f"{name:>6}: accuracy in training {gaps.train.accuracy:.1%}, "
        f"test {gaps.held_out.accuracy:.1%}, shifted {gaps.shifted.accuracy:.1%}; "
        f"loss gap {gaps.gap:+.3f}, shifted {gaps.shifted_gap:+.3f}"
    )
    bits[name] = sharpness_by_bits(network, batch, loss, draws=10)
    for one in bits[name]:
        print(
            f"{name:>6}, {one.bits} bits: loss {one.rounded:+.4f} when rounded, "
            f"{one.noise.mean:+.4f} ({one.noise.error:.4f}) under noise of that size"
        )

# %% Slices along the sharpest direction
slices = {}
for name, network in networks.items():
    leading = sl.leading_eigenvalue(network, batch, loss)
    slices[name] = loss_slice(network, batch, loss, leading.vector)
    print(
        f"{name:>6}: leading eigenvalue {leading.value:.3f} after "
        f"{leading.iterations} products, residual {leading.residual:.1e}"
    )

if options.out:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(9, 6), layout="constrained")
    curve, keeps, by_bits, along = axes.ravel()
    for name, colour in (("bptt", "tab:blue"), ("e-prop", "tab:orange")):
        values, rho = np.array(found[name]).T
        curve.plot(marks, values, "o-", color=colour, label=name)
        curve.plot(marks, bound / rho, ":", color=colour, label="2 / (rho eta)")
        keeps.plot(marks, rho, "o-", color=colour, label=name)
        x, y = [one.bits for one in bits[name]], [one.noise for one in bits[name]]
        mean, error = [one.mean for one in y], [2 * one.error for one in y]
        by_bits.errorbar(x, mean, error, fmt="o-", color=colour, label=f"{name}, noise")
        rounded = [one.rounded for one in bits[name]]
        by_bits.plot(x, rounded, "s", mfc="none", color=colour, label="rounded")
        along.plot(slices[name].steps, slices[name].losses, color=colour, label=name)
    curve.axhline(bound, color="grey", lw=0.7)
    curve.set(xlabel="iteration", ylabel="largest eigenvalue (grey: 2 / eta)")
    keeps.set(xlabel="iteration", ylabel="rho: part of the gradient kept")
    by_bits.set(xlabel="bits of a weight", ylabel="growth of the loss")
    by_bits.set_yscale("symlog", linthresh=1e-3)
    along.set(xlabel="step along the leading eigenvector", ylabel="loss")
    for one in axes.ravel():
        one.legend(fontsize=7)
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "curvature.png", dpi=120)
