"""The integer models beside the LIF: delays, ternary and ATRLIF neurons, the chip.

Builds small networks by hand, runs them in the emulator, compares two with what Loihi 1
does beyond Lava (`fidelity="chip"`), and verifies random networks of all models with
Lava, value by value.

Expected: delays and kinds of neurons change the spikes; the chip holds refractory
neurons at zero; 0 random networks differ.
Needs: nothing more, and lava-nc for the last cell (see the README).
"""

# %%
import argparse
import dataclasses

import numpy as np

from hardware import emulator
from hardware.description import (
    ATRLIFParameters,
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    TernaryParameters,
)
from hardware.fuzz import fuzz

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--networks", type=int, default=20)
parser.add_argument("--no-lava", dest="lava", action="store_false")
options = parser.parse_args()

# %% A network of LIF neurons: weights in units of 64, registers as on the chip
rng = np.random.default_rng(0)
n_in, n, n_out, steps = 20, 50, 2, 200


def block(post: int, pre: int) -> Connection:
    """Return even mantissas, which 8 bits with a sign keep as they are."""
    return Connection(2 * rng.integers(-60, 62, (post, pre)), exponent=0)


def same(value: int, size: int = n) -> np.ndarray:
    """Return one register value for all neurons."""
    return np.full(size, value)


shared = {"bias_mant": same(0), "bias_exp": same(0)}
decays = {"du": same(800), "dv": same(200)}
none = {"beta": same(0), "db": same(0), "refractory": same(0)}
lif = NetworkDescription(
    w_in=block(n, n_in),
    w_rec=block(n, n),
    w_out=block(n_out, n),
    neurons=NeuronParameters(**shared, **decays, **none, vth=same(2500)),
    readout=ReadoutParameters(*(same(value, n_out) for value in (300, 0, 0))),
)
x = (rng.random((steps, 1, n_in)) < 0.1).astype(np.int32)

# %% The same weights with delays, and with other neurons
later = dataclasses.replace(lif.w_rec, delays=rng.integers(0, 20, (n, n)))
ternary = TernaryParameters(**shared, **decays, vth_hi=same(2500), vth_lo=same(-2500))
atrlif = ATRLIFParameters(
    **shared,
    delta_i=same(800),
    delta_v=same(200),
    delta_theta=same(100),
    delta_r=same(400),
    theta_0=same(2500),
    theta_step=same(500),
)
networks = {
    "LIF": lif,
    "LIF with delays": dataclasses.replace(lif, w_rec=later),
    "ternary LIF": dataclasses.replace(lif, neurons=ternary),
    "ATRLIF": dataclasses.replace(lif, neurons=atrlif),
}
for name, network in networks.items():
    record = emulator.run(network, x)
    process = network.neurons.lava_process
    print(f"{name:16} {record.n_spikes:5} spikes; in Lava {process}")

# %% What Loihi 1 does otherwise: a refractory neuron is held at zero
neurons = dataclasses.replace(lif.lif, refractory=same(3))
refractory = dataclasses.replace(lif, neurons=neurons)
counts = {
    fidelity: emulator.run(refractory, x, fidelity=fidelity).n_spikes
    for fidelity in emulator.FIDELITIES
}
print(f"refractory neurons: {counts['lava']} spikes, on the chip {counts['chip']}")

# %% Random networks over all models, in Lava
if options.lava:
    report = fuzz(options.networks, seed=0)
    print(
        f"{report.differing} of {report.networks} random networks differ from Lava "
        f"({report.values} values, {report.seconds:.0f} s)"
    )
