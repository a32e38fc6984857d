"""The weights of a netx layer: whole numbers without an exponent of their own."""

from __future__ import annotations

import numpy as np

from hardware._violations import Violation
from hardware.description import Connection, keep_bits

__all__ = ["EIGHT_BITS", "effective", "fitted", "loaded_violations", "to_connection"]

EIGHT_BITS = (
    "what 8 bits hold (0..255, -255..0, or signed: even -256..254 or -128..127)"
)
_LARGEST_UNSIGNED = 255
_LARGEST_EVEN = 254
_LARGEST_ODD = 127
_REMEDY = (
    "netx has no weight exponents: make the weights of a layer smaller, or write the "
    "nearest network with strict=False"
)


def effective(connection: Connection) -> np.ndarray:
    """Return `mantissa * 2**exponent` as int64; whole, by the rule of `Connection`."""
    weights = connection.weights.astype(np.int64)
    if connection.exponent >= 0:
        return weights << connection.exponent
    return weights >> -connection.exponent


def sign_mode(weights: np.ndarray) -> str:
    """Return the sign mode that Lava finds in weights."""
    if weights.min() >= 0:
        return "excitatory"
    return "inhibitory" if weights.max() <= 0 else "mixed"


def to_connection(place: str, weights: np.ndarray) -> Connection | Violation:
    """Return whole weights as a block of 8 bits, or why that cannot be.

    Signed weights that are not all even are stored twice as large, with exponent -1.
    """
    sign, mantissas, exponent = sign_mode(weights), weights, 0
    low, high = int(weights.min()), int(weights.max())
    if sign == "mixed" and (weights & 1).any() and low >= -128 and high <= 127:
        mantissas, exponent = weights << 1, -1
    kept = keep_bits(mantissas, 8, sign)
    if (kept != mantissas).any():
        bad = np.argwhere(kept != mantissas)
        first = tuple(int(k) for k in bad[0])
        shown = (
            f"{len(bad)} of {weights.size} that do not fit, {low} to {high}, first "
            f"{int(weights[first])} at index {first}"
        )
        return Violation(place, EIGHT_BITS, shown, "Quantise the weights to 8 bits")
    return Connection(mantissas.astype(np.int16), exponent, 8, sign)


def loaded_violations(blocks: dict[str, np.ndarray]) -> list[Violation]:
    """Return which weights of a layer lava-dl would not keep as they are.

    lava-dl 0.6.0 (`netx.utils.optimize_weight_bits`) shifts all blocks of a layer to
    the left together until the largest fills 8 bits, and counts the bits in use. Lava's
    `Dense` then finds the sign mode of each block, clips it to 255 (so that -2**n, the
    least of a block without positive weights, is lost) and drops bits not in use.
    """
    together = np.concatenate([block.ravel() for block in blocks.values()])
    low, high = int(together.min()), int(together.max())
    names = " and ".join(blocks)
    if low == high == 0:
        limit = "not all 0, which lava-dl cannot load"
        return [Violation(names, limit, "0", "Give one synapse a weight")]
    signed = int(low < 0 <= high)
    scale = 255 / high if low >= 0 else -256 / low
    if signed:
        scale = min(127 / high if high else np.inf, -128 / low)
    shift = int(np.floor(np.log2(scale))) + signed
    zeros = next(n for n in range(8, -1, -1) if not (together & ((1 << n) - 1)).any())
    bits = 8 - shift - (zeros - signed)
    if shift < 0 or bits > 8:
        return [Violation(names, EIGHT_BITS, f"{low} to {high}", _REMEDY)]
    problems = []
    for name, block in blocks.items():
        shifted = block << shift
        lost = shifted != keep_bits(shifted, bits, sign_mode(block))
        if lost.any():
            first = tuple(int(k) for k in np.argwhere(lost)[0])
            shown = (
                f"{int(lost.sum())} of {block.size} that it changes, first "
                f"{int(block[first])} at index {first}"
            )
            limit = "weights that lava-dl keeps when it loads them"
            problems.append(Violation(name, limit, shown, _REMEDY))
    return problems


def fitted(blocks: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    """Return the nearest weights that a layer holds, at the largest scale `2**-k`.

    Returns
    -------
    blocks
        The rounded weights.
    k
        0 or more; all that adds to a current or a membrane is to be scaled alike.
    """
    together = np.concatenate([block.ravel() for block in blocks.values()])
    signed = bool(together.min() < 0 <= together.max())
    rounded, k = _rounded(blocks, signed)
    if together.max() < 0 and not all(block.all() for block in rounded.values()):
        return _rounded(blocks, True)  # to lava-dl, zeros are no negative weights
    return rounded, k


def _rounded(
    blocks: dict[str, np.ndarray], signed: bool
) -> tuple[dict[str, np.ndarray], int]:
    step, largest = (2, _LARGEST_EVEN) if signed else (1, _LARGEST_UNSIGNED)
    peak, k = max(int(np.abs(block).max()) for block in blocks.values()), 0
    while peak / 2**k > largest + step / 2:
        k += 1
    if signed and peak / 2**k <= _LARGEST_ODD:
        step, largest = 1, _LARGEST_ODD
    rounded = {
        name: np.clip(
            np.rint(block / 2**k / step).astype(np.int64) * step, -largest, largest
        )
        for name, block in blocks.items()
    }
    return rounded, k
