"""A network goes to other programs as a NIR graph, and a graph of theirs comes in.

Writes a random recurrent network as NIR, runs the graph by a few lines of Euler steps
that know nothing of spikelearn, and reads the file twice: as it was written, and as a
graph that a stranger might have made. What a graph cannot say is printed each time.

Expected: 0 of the spikes differ. Runtime: seconds. Needs: pip install -e '.[nir]'.
"""

# %%
import tempfile
from pathlib import Path

import nir
import numpy as np

import spikelearn as sl
from hardware.export.nir import write_nir
from hardware.importing.nir import read_nir

DT = 1e-3  # s

# %% A network of 40 neurons, and what a NIR graph does not say of it
network = sl.RecurrentNetwork(
    8,
    40,
    2,
    cell=sl.LIF(tau_m=20.0, tau_syn=5.0, reset="zero"),
    dtype="float64",
)
network.initialise(0, gain=0.7, gain_in=0.2)
path = Path(tempfile.mkdtemp()) / "network.nir"
for note in write_nir(network, path):
    print(note)

# %% The equations of NIR, one forward Euler step of 1 ms each
nodes = nir.read(path).nodes
cell = nodes["neurons"]
x = (np.random.default_rng(1).random((500, 8)) < 0.2).astype(float)
i, v, z = np.zeros(40), np.zeros(40), np.zeros(40)
spikes = []
for row in x:
    drive = nodes["w_in"].weight @ row + nodes["w_rec"].weight @ z
    i += DT / cell.tau_syn * (cell.w_in * drive - i)
    v += DT / cell.tau_mem * (cell.v_leak - v + cell.r * i)
    z = (v > cell.v_threshold).astype(float)
    v = np.where(z == 1, cell.v_reset, v)
    spikes.append(z)
ours = network.run(x[:, None]).spikes[:, 0]
print(f"{ours.sum()} spikes, {np.sum(ours != spikes)} differ from the graph's")

# %% Read as it was written, and as the graph of a stranger
assert read_nir(path).notes == ()
found = read_nir(path, dt=1.0, use_metadata=False)
for note in found.notes:
    print(note)
again = found.network.run(x[:, None]).spikes[:, 0]
print(f"{np.sum(ours != again)} differ from those of the network read")
assert ours.sum() > 100
assert np.array_equal(ours, spikes) and np.array_equal(ours, again)
