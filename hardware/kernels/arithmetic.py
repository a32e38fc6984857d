"""The arithmetic of the registers: decays, shifts, wraps and saturation.

States are stored as int32 and computed in int64; where the definition wraps to 32 or 24
bits or saturates, the kernels do so explicitly.
"""

from __future__ import annotations

import numpy as np

from hardware.kernels import inlined

__all__ = [
    "HALF_TURN",
    "STATE_MAX",
    "decay",
    "saturate",
    "shift",
    "turn_once",
    "wrap",
    "wrap32",
]

STATE_MAX = np.int64(2**23 - 1)
HALF_TURN = np.int64(2**23)


@inlined
def wrap(value, half):
    """Return `value` modulo `2 half` in `-half..half - 1`; `half` is a power of 2."""
    return ((value + half) & (2 * half - 1)) - half


@inlined
def wrap32(value):
    """Return the low 32 bits of an int64 as a signed number."""
    return wrap(value, np.int64(2**31))


@inlined
def turn_once(value):
    """Take one turn of 2**24 off (or add it) where a value has left 24 bits."""
    if value > HALF_TURN:
        return value - 2 * HALF_TURN
    if value <= -HALF_TURN:
        return value + 2 * HALF_TURN
    return value


@inlined
def decay(value, factor):
    """Return `sign(x) * ((|x| * (4096 - d)) >> 12)`: rounds towards zero."""
    wide = np.int64(value)
    sign = wide >> 63  # 0 or -1; `(x ^ sign) - sign` is |x| and its own inverse
    kept = (((wide ^ sign) - sign) * (4096 - np.int64(factor))) >> 12
    return (kept ^ sign) - sign


@inlined
def shift(value, exponent):
    """Shift a sum by the weight exponent without losing bits to the left."""
    if exponent >= 0:
        return value << exponent
    return value >> -exponent


@inlined
def saturate(wanted):
    """Return a sum clipped to +-(2**23 - 1).

    Lava holds the sum in 32 bits, which it cannot leave: a current has at most
    2**31 - 2**24, and all other terms together have less than 2**24.
    """
    return min(max(wanted, -STATE_MAX), STATE_MAX)
