"""Neuron models that record u, v, b, r and spikes at every step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.atrlif.models import PyATRLIFModelFixed
from lava.proc.atrlif.process import ATRLIF
from lava.proc.lif.models import (
    PyLifModelBitAcc,
    PyLifResetModelBitAcc,
    PyTernLifModelFixed,
)
from lava.proc.lif.process import LIF, LIFReset, TernaryLIF

from hardware.lava_processes.adaptive_lif.models import PyAdaptiveLIFModel
from hardware.lava_processes.adaptive_lif.process import AdaptiveLIF

__all__ = [
    "RecordingATRLIFModel",
    "RecordingAdaptiveLIFModel",
    "RecordingLIFModel",
    "RecordingLIFResetModel",
    "RecordingTernaryLIFModel",
    "create",
    "open_record",
]

STATES = ("u", "v", "b", "r", "spikes")


def create(path: str | Path, steps: int, size: int) -> None:
    """Make an empty recording: int32 `(steps, 5, size)` with axis 1 as in `STATES`."""
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


class _RecordingLIF:
    """What the LIF models of Lava need to record: it goes before them in the bases."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self._recorder = _Recorder(proc_params)
        self._spikes: Any = None

    def spiking_activation(self) -> Any:
        """Return Lava's spikes, and keep them."""
        self._spikes = super().spiking_activation()  # type: ignore[misc]
        return self._spikes

    def run_spk(self) -> None:
        """Take Lava's step, then record it."""
        super().run_spk()  # type: ignore[misc]
        model: Any = self
        states = (model.u, model.v, 0, 0, self._spikes)
        self._recorder.write(model.time_step - 1, states)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "recording")
class RecordingLIFModel(_RecordingLIF, PyLifModelBitAcc):
    """Lava's bit-accurate LIF that writes its states after each step."""


@implements(proc=LIFReset, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "recording")
class RecordingLIFResetModel(_RecordingLIF, PyLifResetModelBitAcc):
    """Lava's LIF with a periodic reset that writes its states after each step."""


@implements(proc=TernaryLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "recording")
class RecordingTernaryLIFModel(_RecordingLIF, PyTernLifModelFixed):
    """Lava's ternary LIF that writes its states after each step."""


@implements(proc=ATRLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "recording")
class RecordingATRLIFModel(PyATRLIFModelFixed):
    """Lava's ATRLIF that writes its states after each step."""

    def __init__(self, proc_params: dict[str, Any]) -> None:
        super().__init__(proc_params)
        self._recorder = _Recorder(proc_params)

    def run_spk(self) -> None:
        """Take Lava's step, then record it."""
        super().run_spk()
        states = (self.i, self.v, self.theta, self.r, self.s)
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
        states = (self.u, self.v, self.b, 0, self.fired)
        self._recorder.write(self.time_step - 1, states)
