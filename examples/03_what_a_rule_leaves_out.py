"""What does a learning rule leave out, and what does it cost here?

A stack of two layers of tanh units (one recurrent, one feed-forward) is given a delayed
match to sample. Each rule says which terms it keeps and drops; its gradient is compared
with backpropagation through time, overall and by how far back it reaches. The same from
the command line: spikelearn gradcheck --task dms --out map.png

Expected: the cosine of e-prop is near 1 for the last step and falls with the lag; ten
seconds.
"""

# %%
import numpy as np

import spikelearn as sl
from spikelearn.analysis import align
from spikelearn.connectivity import stack

# %% A network of two layers, each with excitatory and inhibitory units
task = sl.make_task("dms", dt=50.0)
layers = stack(task.n_in, [40, 20], task.n_out, recurrent=[True, False])
excitatory = np.concatenate([np.arange(n) < 0.75 * n for n in layers["layers"]])
network = sl.RecurrentNetwork(
    task.n_in,
    60,
    task.n_out,
    cell=sl.LeakyRate(tau_m=100.0, activation="tanh", placement="inside"),
    readout=sl.LeakyReadout(tau_out=0.0),
    dt=task.dt,
    signs=np.where(excitatory, 1, -1),
    cell_types=np.where(excitatory, 0, 1),
    dtype="float64",
    **layers,
)
network.initialise(rng=1, gain=1.5, gain_in=2.0)

# %% Their gradients on one batch
rules = [
    sl.BPTT(),
    sl.RTRL(),
    sl.EProp(),
    sl.MDGL(variant="one-hop"),
    sl.MDGL(variant="cell-types"),
    sl.ModProp(mu=0.5),
]
batch = task.train_batch(iteration=0, size=32, seed=0)
for row in align(network, batch, sl.Classification(), rules):
    lags = "  ".join(
        f"{lag['from']}-{lag['to']}: {lag['cosine']:.2f}"
        for lag in row.to_dict()["lags"]
        if lag["cosine"] is not None
    )
    print(f"{row.label}: cosine {row.cosine:.3f}, rho {row.rho:.3f}   by lag  {lags}")

# %% What each leaves out, and whom to cite
for rule in (sl.EProp, sl.MDGL, sl.ModProp):
    print(
        f"\n{rule.info.name}\n  kept: {rule.info.kept}\n  dropped: {rule.info.dropped}"
    )
print()
print(sl.cite(sl.MDGL))
