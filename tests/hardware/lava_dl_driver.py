"""Run a netx file in lava-dl: `python lava_dl_driver.py FILE.net CASE.npz OUT.npz`.

It runs in an environment of its own, needs lava-dl 0.6.0 with lava-nc 0.10.0 and
nothing of spikelearn. CASE.npz holds `x` (T, n_in) and `message_bits`; OUT.npz gets u,
v and s of every layer, (T, n), named `0/u`, `0/v`, `0/s`, `1/u`, ...
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types

import numpy as np

UNUSED = "lava.lib.dl.slayer.object_detection"


def load_lava_dl():
    """Import lava-dl on a Python that is newer than it, without what netx never uses.

    Since Python 3.11 a dataclass refuses one default of lava-nc; the object detection
    of lava-dl would want torchvision and OpenCV.
    """
    original = dataclasses.dataclass

    def dataclass(cls=None, /, **options):
        def decorate(owner):
            if owner.__name__ == "ByteEncoder":
                options["unsafe_hash"] = True
            return original(**options)(owner)

        return decorate if cls is None else decorate(cls)

    dataclasses.dataclass = dataclass
    try:
        importlib.import_module("lava.magma.compiler.var_model")
    finally:
        dataclasses.dataclass = original
    sys.modules[UNUSED] = types.ModuleType(UNUSED)
    return importlib.import_module("lava.lib.dl.netx.hdf5")


def main(network_path, case_path, answer_path):
    hdf5 = load_lava_dl()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.source import RingBuffer
    from lava.proc.monitor.process import Monitor

    with np.load(case_path) as case:
        x, message_bits = case["x"], int(case["message_bits"])
    steps = len(x)
    network = hdf5.Network(network_path, input_message_bits=message_bits)
    source = RingBuffer(data=x.T.astype(np.int32))
    source.s_out.connect(network.inp)
    monitors = {}
    for number, layer in enumerate(network.layers):
        for name, what in (
            ("u", layer.neuron.u),
            ("v", layer.neuron.v),
            ("s", layer.neuron.s_out),
        ):
            monitors[number, name] = Monitor()
            monitors[number, name].probe(what, steps)
    network.run(
        condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt")
    )
    answer = {}
    for (number, name), monitor in monitors.items():
        (process,) = monitor.get_data().values()
        (values,) = process.values()
        answer[f"{number}/{name}"] = np.asarray(values).astype(np.int64)
    network.stop()
    np.savez(answer_path, **answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
