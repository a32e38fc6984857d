"""The process: what an adaptive LIF population is connected to and made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var

__all__ = ["AdaptiveLIF"]


class AdaptiveLIF(AbstractProcess):
    """Leaky integrate-and-fire neurons with adaptive threshold, in integers.

    The time step is the one of `hardware.emulator`: Lava's bit-accurate LIF plus an
    adaptive threshold, a refractory time and a choice of the reset.

    Parameters
    ----------
    shape
        `(n,)`.
    du, dv, bias_mant, bias_exp, vth, beta, db, refractory
        Registers, integers `(n,)`, as in `hardware.description.NeuronParameters`.
    reset
        `"subtract"` or `"zero"`.
    name
        Name of the process.
    **options
        Passed on to the process models (for example a recording path).
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        du: np.ndarray,
        dv: np.ndarray,
        bias_mant: np.ndarray,
        bias_exp: np.ndarray,
        vth: np.ndarray,
        beta: np.ndarray,
        db: np.ndarray,
        refractory: np.ndarray,
        reset: str,
        name: str = "adaptive_lif",
        **options: Any,
    ) -> None:
        super().__init__(shape=shape, reset=reset, name=name, **options)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.b = Var(shape=shape, init=0)
        self.fired = Var(shape=shape, init=0)
        self.silent = Var(shape=shape, init=0)
        self.du = Var(shape=shape, init=du)
        self.dv = Var(shape=shape, init=dv)
        self.bias_mant = Var(shape=shape, init=bias_mant)
        self.bias_exp = Var(shape=shape, init=bias_exp)
        self.vth = Var(shape=shape, init=vth)
        self.beta = Var(shape=shape, init=beta)
        self.db = Var(shape=shape, init=db)
        self.refractory = Var(shape=shape, init=refractory)
