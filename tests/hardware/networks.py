"""Random integer networks that reach the corners of the arithmetic."""

from __future__ import annotations

import numpy as np

from hardware.description import (
    Connection,
    NetworkDescription,
    NeuronParameters,
    ReadoutParameters,
    keep_bits,
)


def random_connection(rng, post, pre, bits=8, sign="mixed", exponent=0, density=0.5):
    low = 0 if sign == "excitatory" else -256 if sign == "mixed" else -255
    high = 0 if sign == "inhibitory" else 255
    weights = rng.integers(low, high + 1, (post, pre))
    weights = keep_bits(weights * (rng.random((post, pre)) < density), bits, sign)
    if exponent < 0:
        weights = np.fix(weights / 2**-exponent).astype(int) << -exponent
    return Connection(weights.astype(np.int16), exponent, bits, sign)


def random_network(
    seed,
    n_in=6,
    n_rec=12,
    n_out=3,
    *,
    reset="zero",
    adaptive=False,
    refractory=False,
    bits=8,
    signs=("mixed", "mixed", "mixed"),
    exponents=(0, 0, 0),
    input_bits=0,
    bias=True,
    vth=(200, 1200),
    du=(200, 3500),
    dv=(20, 2000),
    beta=(0, 600),
    db=(0, 400),
    input_weight=None,
):
    rng = np.random.default_rng(seed)

    def registers(low, high, on=True, n=n_rec):
        return rng.integers(low, high + 1, n) * int(on)

    neurons = NeuronParameters(
        du=registers(*du),
        dv=registers(*dv),
        bias_mant=registers(-300, 600, bias),
        bias_exp=registers(0, 3),
        vth=registers(*vth),
        beta=registers(*beta, adaptive),
        db=registers(*db, adaptive),
        refractory=registers(0, 5, refractory),
        reset=reset,
    )
    readout = ReadoutParameters(
        dv=registers(0, 1000, n=n_out),
        bias_mant=registers(-200, 200, bias, n=n_out),
        bias_exp=registers(0, 4, n=n_out),
    )
    shapes = ((n_rec, n_in), (n_rec, n_rec), (n_out, n_rec))
    w_in, w_rec, w_out = (
        random_connection(rng, *shape, bits, sign, exponent)
        for shape, sign, exponent in zip(shapes, signs, exponents, strict=True)
    )
    if input_weight is not None:
        w_in = Connection(np.full((n_rec, n_in), input_weight), exponents[0], bits)
    return NetworkDescription(
        w_in=w_in,
        w_rec=w_rec,
        w_out=w_out,
        neurons=neurons,
        readout=readout,
        input_bits=input_bits,
        dt=1.0,
        metadata={"seed": int(seed)},
    )


def random_input(seed, network, steps, samples=1, rate=0.3):
    rng = np.random.default_rng(seed)
    shape = (steps, samples, network.n_in)
    values = rng.integers(1, network.input_max + 1, shape)
    return (values * (rng.random(shape) < rate)).astype(np.int32)
