"""The numbers of a network that learning may change."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelearn.errors import require
from spikelearn.kernels.vector import aligned_zeros, padded
from spikelearn.network.checking import host_array, transposed

__all__ = ["Params"]


class Params:
    """The numbers of a network that learning may change.

    The weights into the recurrent population live in one buffer with a row per
    presynaptic unit (inputs above recurrent neurons), which is what kernels read. The
    attributes are views of it in the convention (post, pre):

    `w_in` (n_rec, n_in), `w_rec` (n_rec, n_rec), `w_out` (n_out, n_rec), `b_out`
    (n_out,), `bias` (n_rec,). Write into them with `params.w_in[...] = value`.
    """

    names = ("w_in", "w_rec", "w_out", "b_out", "bias")

    def __init__(self, n_in: int, n_rec: int, n_out: int, dtype: Any) -> None:
        self.rows = aligned_zeros((n_in + n_rec, padded(n_rec)), dtype)
        self.out_rows = np.zeros((n_rec, n_out), dtype)
        self.w_in = self.rows[:n_in, :n_rec].T
        self.w_rec = self.rows[n_in:, :n_rec].T
        self.w_out = self.out_rows.T
        self.b_out = np.zeros(n_out, dtype)
        self.bias_row = aligned_zeros((padded(n_rec),), dtype)
        self.bias = self.bias_row[:n_rec]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the views by name."""
        return {name: getattr(self, name) for name in self.names}

    def copy(self) -> Params:
        """Return an independent copy."""
        n_rec, n_in = self.w_in.shape
        other = type(self)(n_in, n_rec, self.b_out.size, self.rows.dtype)
        other.load(self.arrays())
        return other

    def load(self, arrays: dict[str, np.ndarray]) -> None:
        """Copy arrays in by name.

        Raises
        ------
        InvalidValue
            If one is missing, not real numbers on the CPU, not finite or of the wrong
            shape; nothing is changed.
        """
        own = self.arrays()
        values = {}
        for name, target in own.items():
            where = f"Params.{name}"
            require(name in arrays, where, "must be given", f"only {sorted(arrays)}")
            with np.errstate(over="ignore"):
                value = host_array(arrays[name], where).astype(target.dtype)
            rule = f"must have shape {target.shape} (post, pre)"
            hint = transposed(value.shape, target.shape, name)
            good = value.shape == target.shape
            require(good, where, rule, f"shape {value.shape}", hint)
            finite = bool(np.isfinite(value).all())
            rule = f"must be finite in {target.dtype}"
            require(finite, where, rule, "NaN or infinity")
            values[name] = value
        for name, target in own.items():
            target[...] = values[name]
