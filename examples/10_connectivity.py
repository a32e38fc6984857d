"""Families of connectivity at the same norm, what they differ in, and their nulls.

Recurrent matrices with one Frobenius norm have very different spectra: a rank of 1,
Dale's law, a worm's connectome. The first table has them side by side; the second the
connectome beside null models, each of which keeps one property of it. Then the
connectome and a random matrix are scaled to the same Lyapunov exponent, and a network
learns from it. Half a minute; `--out FOLDER` also draws the matrices and their spectra.
"""

# %%
import argparse
from pathlib import Path

import numpy as np

import spikelearn as sl
from spikelearn.analysis.structure import describe, reference_network
from spikelearn.learning.matching import match_lyapunov

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="fewer neurons, fewer trials")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, help="folder for connectivity.png")
options = parser.parse_args()
n, iterations = (60, 3) if options.quick else (300, 150)
worm = sl.connectivity.connectome("celegans")


# %% One vocabulary: families are read from text, and compose
def draw(family: sl.connectivity.Family | str) -> sl.connectivity.Connectivity:
    """Draw with the Frobenius norm of independent weights with gain 1.5."""
    if isinstance(family, str):
        family = sl.connectivity.parse(family)
    made = family.draw(n, options.seed)
    return sl.connectivity.match(made, "frobenius", 1.5 * n**0.5)


families = (
    "gaussian",
    "orthogonal",
    "low_rank(rank=30)",
    "low_rank(rank=1)",
    "lognormal(sigma=1.0)",
    "erdos_renyi(density=0.1)",
    "dale(base=erdos_renyi(density=0.1))",
    "motifs(reciprocal=1, chain=0.5, convergent=0.5, divergent=0.5)",
    "connectome('potjans_diesmann')",
    "connectome('optic_lobe')",
    "connectome('celegans')",
)
nulls = {
    "C. elegans": worm,
    "shuffle": sl.connectivity.shuffle(worm),
    "degree_preserving": sl.connectivity.degree_preserving(worm),
    "spectrum_matched": sl.connectivity.spectrum_matched(worm),
}
columns = ("spectral_radius", "lyapunov", "eigenvalue_rank", "stable_rank")
columns += ("participation_ratio", "balance", "reciprocity", "density")


def row(name: str, made: sl.connectivity.Connectivity) -> None:
    values = describe(made).to_dict()
    shown = (values[column] for column in columns)
    print(f"{name[:40]:40}", *(f"{np.nan if v is None else v:9.3f}" for v in shown))


heads = ("radius", "exponent", "eig. rank", "st. rank", "part. r.", "balance")
heads += ("recipr.", "density")
print(f"{'same Frobenius norm':40}", *(f"{head:>9}" for head in heads))
for text in families:
    row(text, draw(text))

# %% What each null model keeps
print()
for name, family in nulls.items():
    row(name, draw(family))

# %% The same exponent instead of the same norm
print("\nscaled to the exponent 0 per step:")
matched = {}
gaussian = sl.connectivity.gaussian()
for name, family in (("C. elegans", worm), ("gaussian", gaussian)):
    made = draw(family)
    network, x = reference_network(made)
    found = match_lyapunov(network, x, 0.0)
    matched[name] = made.with_weights(network.params.w_rec.copy())
    norm = np.linalg.norm(matched[name].weights)
    print(f"{name:>12}: factor {found.factor:.3f}, Frobenius norm {norm:.1f}")

# %% Learn with it
task = sl.make_task("2af")
for name, made in matched.items():
    network = sl.RecurrentNetwork(
        task.n_in,
        n,
        task.n_out,
        cell=sl.LeakyRate(tau_m=1000.0),
        readout=sl.LeakyReadout(tau_out=0.0),
        dt=task.dt,
        **made.structure(),
    )
    network.initialise(options.seed, w_rec=made.weights)
    trainer = sl.Trainer(
        network,
        task,
        loss=sl.Classification(),
        rule=sl.BPTT(),
        optimizer=sl.SGD(lr=3e-3, momentum=0.9),
        feedback=sl.Feedback("symmetric"),
        trainable=("w_in", "w_rec", "w_out"),
        seed=options.seed,
    )
    before = network.params.w_rec.copy()
    losses = [trainer.step().loss for _ in range(iterations)]
    change = np.linalg.norm(network.params.w_rec - before) / np.linalg.norm(before)
    print(f"{name:>12}: loss {losses[0]:.3f} -> {losses[-1]:.3f}, change {change:.3f}")

# %% Matrices, eigenvalues, singular values
if options.out:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(nulls), figsize=(12, 6), layout="constrained")
    for (name, family), (top, below) in zip(nulls.items(), axes.T, strict=True):
        weights = draw(family).weights
        strongest = np.percentile(np.abs(weights[weights != 0]), 98)
        top.imshow(weights, cmap="RdBu_r", vmin=-strongest, vmax=strongest)
        top.set(title=name, xlabel="from neuron", ylabel="to neuron")
        values = sl.connectivity.eigenvalues(weights)
        circle = 1.5 * np.exp(1j * np.linspace(0, 2 * np.pi, 200))
        below.plot(circle.real, circle.imag, color="tab:orange", lw=1)
        below.plot(values.real, values.imag, ".", ms=3)
        below.set(xlabel="real part", ylabel="imaginary part", aspect="equal")
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "connectivity.png", dpi=100)
