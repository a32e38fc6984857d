"""Neuron models that record u, v, b and spikes at every step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF

from hardware.lava_processes.adaptive_lif.models import PyAdaptiveLIFModel
from hardware.lava_processes.adaptive_lif.process import AdaptiveLIF

__all__ = ["RecordingAdaptiveLIFModel", "RecordingLIFModel", "create", "open_record"]

STATES = ("u", "v", "b", "spikes")


def create(path: str | Path, steps: int, size: int) -> None:
    """Make an empty recording: int32 `(steps, 4, size)` with axis 1 as in `STATES`."""
    shape = (steps, len(STATES), size)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=shape).flush()


def open_record(path: str | Path, mode: str = "r") -> np.ndarray:
    """Map a recording into memory."""
    return np.lib.format.open_memmap(path, mode=mode)


class _Recorder:
    """Where a model writes its states; opened in the process that runs the model."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        self._path = str(proc_params["record_path"])
        self._file: np.ndarray | None = None

    def write(self, step: int, states: Sequence[np.ndarray | int]) -> None:
        if self._file is None:
            self._file = open_record(self._path, "r+")
        for row, state in zip(self._file[step], states, strict=True):
            row[:] = state


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "recording")
class RecordingLIFModel(PyLifModelBitAcc):
    """Lava's bit-accurate LIF that writes its states after each step."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._recorder = _Recorder(proc_params)

    def run_spk(self) -> None:
        """Take Lava's step, then record it."""
        super().run_spk()
        states = (self.u, self.v, 0, self.s_out_buff)
        self._recorder.write(self.time_step - 1, states)


@implements(proc=AdaptiveLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "recording")
class RecordingAdaptiveLIFModel(PyAdaptiveLIFModel):
    """The adaptive LIF that writes its states after each step."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._recorder = _Recorder(proc_params)

    def run_spk(self) -> None:
        """Take the step, then record it."""
        super().run_spk()
        states = (self.u, self.v, self.b, self.fired)
        self._recorder.write(self.time_step - 1, states)
