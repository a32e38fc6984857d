"""Let lava-dl write a netx file: `python lava_dl_export.py FILE.net`.

As `lava_dl_driver.py` it runs in an environment of its own. The network is a recurrent
block and a dense block of slayer with random weights, never trained; its exporter
quantises them. `golden/lava_dl_slayer.net` was written by it (lava-dl 0.6.0).
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))


def main(path):
    from lava_dl_driver import load_lava_dl

    load_lava_dl()
    import torch
    from lava.lib.dl import slayer

    torch.manual_seed(7)
    neuron = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.05}
    sizes = (10, 24), (24, 4)
    blocks = (
        slayer.block.cuba.Recurrent(dict(neuron), *sizes[0], weight_scale=2),
        slayer.block.cuba.Dense(dict(neuron), *sizes[1], weight_scale=2),
    )
    spikes = torch.as_tensor(np.random.default_rng(7).integers(0, 2, (1, 10, 5)))
    values = spikes.float()
    with torch.no_grad():
        for block in blocks:  # a block knows its shape when it has run
            values = block(values)
    with h5py.File(path, "w") as file:
        for number, block in enumerate(blocks):
            block.export_hdf5(file.create_group(f"layer/{number}"))


if __name__ == "__main__":
    main(*sys.argv[1:])
