"""Does a network learn by changing its features, or by reading out those it has?

Two networks start with recurrent weights of the same Frobenius norm, one of rank 1, one
of full rank, and learn delayed match to sample by backpropagation. The tangent kernel
of the recurrent weights says how lazily: its alignment with that of the start stays
near 1 if learning is lazy and falls if it is rich (Liu et al. 2024, arXiv:2310.08513).
Beside it stand the kernel of e-prop's local Jacobian and the mixed one of both. Ten
seconds; `--out FOLDER` also draws it. Of a run on disk: spikelearn regime RUN

Expected: at the end the kernel of the network of rank 1 is further from its start. Rank
sets the spectral radius too, which is printed: a fair comparison matches it
(`sl.connectivity.match`).
"""

# %%
import argparse
from pathlib import Path

import numpy as np

import spikelearn as sl

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--iterations", type=int, default=512)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, help="folder for rich_or_lazy.png")
options = parser.parse_args()
N = 100
task = sl.make_task("dms")
probe = task.train_batch(iteration=0, size=32, seed=1000)


# %% Networks that differ in the rank of their first recurrent weights
def network(rank: int) -> sl.RecurrentNetwork:
    made = sl.connectivity.low_rank(rank=rank, gain=1.25).draw(N, rng=options.seed)
    net = sl.RecurrentNetwork(
        task.n_in,
        N,
        task.n_out,
        cell=sl.LeakyRate(tau_m=0.0),
        readout=sl.LeakyReadout(tau_out=0.0),
        dt=task.dt,
        **made.structure(),
    )
    net.initialise(options.seed, gain_in=0.6, gain_out=0.6, w_rec=made.weights)
    return net


# %% Learn, and compare with the start at iterations 1, 4, 16, ...
curves: dict[int, list[tuple[int, sl.Regime]]] = {}
for rank in (1, N):
    start, net = network(rank), network(rank)
    trainer = sl.Trainer(
        net,
        task,
        loss=sl.Classification(),
        rule=sl.BPTT(),
        optimizer=sl.SGD(lr=6e-3, momentum=0.9),
        feedback=sl.Feedback("symmetric"),
        trainable=("w_in", "w_rec", "w_out"),
        seed=options.seed,
    )
    curves[rank] = []
    radius = sl.connectivity.spectral_radius(start.params.w_rec)
    print(f"rank {rank}: spectral radius {radius:.2f}")
    for iteration in range(1, options.iterations + 1):
        loss = trainer.step().loss
        power = 4 ** round(np.log2(iteration) / 2)
        if iteration in (power, options.iterations):
            row = sl.regime(start, net, probe, rule=sl.EProp())
            curves[rank].append((iteration, row))
            kernels = ", ".join(f"{k} {v:.3f}" for k, v in row.kernel_alignment.items())
            print(
                f"  iteration {iteration:4d}: loss {loss:.3f}, |dW| "
                f"{row.weight_change:.3f}, kernel alignment {kernels}"
            )

# %% One figure
if options.out:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for rank, curve in curves.items():
        for kernel, line in (("bptt", "o-"), ("e-prop", "s--")):
            iterations = [iteration for iteration, _ in curve]
            values = [row.kernel_alignment[kernel] for _, row in curve]
            axes.plot(iterations, values, line, label=f"rank {rank}, {kernel}")
    axes.set(xscale="log", xlabel="iteration", ylabel="tangent-kernel alignment")
    axes.legend()
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "rich_or_lazy.png", dpi=120)
