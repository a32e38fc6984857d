"""The process model: the integer time step in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from hardware.lava_processes.adaptive_lif.process import AdaptiveLIF

__all__ = ["PyAdaptiveLIFModel"]

STATE_MAX = 2**23 - 1


def decay(state: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Return `sign(x) * ((|x| * (4096 - d)) >> 12)` in int64."""
    wide = state.astype(np.int64)
    return np.sign(wide) * ((np.abs(wide) * (4096 - factor)) >> 12)


def wrap32(value: np.ndarray) -> np.ndarray:
    """Keep the low 32 bits, in int64."""
    return value.astype(np.int32).astype(np.int64)


def wrap24(value: np.ndarray) -> np.ndarray:
    """Take one turn of 2**24 off (or add it) where a value has left 24 bits."""
    turns = (value > 2**23).astype(np.int64) - (value <= -(2**23))
    return value - turns * 2**24


@implements(proc=AdaptiveLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAdaptiveLIFModel(PyLoihiProcessModel):
    """One step of `hardware.emulator` for a population."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    b: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    fired: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=1)
    silent: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=6)
    du: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=13)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=17)
    beta: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=17)
    db: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=13)
    refractory: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=6)

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self.subtract = proc_params["reset"] == "subtract"

    def run_spk(self) -> None:
        """Receive, take one time step, send the spikes."""
        arriving = wrap32(self.a_in.recv().astype(np.int64) << 6)
        threshold = self.vth.astype(np.int64) << 6
        self.u[:] = wrap24(wrap32(decay(self.u, self.du + 1) + arriving))
        v = decay(self.v, self.dv) + self.u + (self.bias_mant << self.bias_exp)
        if self.subtract:
            v -= self.fired * threshold
        self.v[:] = np.clip(v, -STATE_MAX, STATE_MAX)
        b = decay(self.b, self.db) + self.fired * (self.beta.astype(np.int64) << 6)
        self.b[:] = np.clip(b, 0, STATE_MAX)
        spikes = (self.v > threshold + self.b) & (self.silent == 0)
        self.silent[:] = np.where(
            spikes, self.refractory, np.maximum(self.silent - 1, 0)
        )
        if not self.subtract:
            self.v[spikes] = 0
        self.fired[:] = spikes
        self.s_out.send(spikes)
