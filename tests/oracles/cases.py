"""Networks and signals that the oracles are asked about, and guards of their life."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from spikelearn.learning import rules
from spikelearn.learning.signals import LearningSignal
from spikelearn.network import (
    ALIF,
    LIF,
    LeakyRate,
    LeakyReadout,
    RecurrentNetwork,
    Surrogate,
)

N_IN, N_REC, N_OUT, N_STEPS, N_SAMPLES = 4, 7, 2, 30, 2
TYPES = np.array([0, 1, 0, 2, 1, 0, 2])
TAUS = np.linspace(6.0, 20.0, N_REC)


def rule(name, **options):
    """Return a learning rule of spikelearn by the name of its class."""
    return getattr(rules, name)(**options)


def surrogate(name, **spec):
    """Return a surrogate that is wide enough to reach most neurons."""
    return Surrogate(name, **{"gamma": 0.6, "width": 1.5, **spec})


def delays():
    """Return heterogeneous delays of 1 to 4 steps, (post, pre)."""
    return np.random.default_rng(11).integers(1, 5, (N_REC, N_REC))


def masks():
    """Return masks that leave connections out everywhere, as keyword arguments."""
    rng = np.random.default_rng(12)
    return {
        "mask": rng.random((N_REC, N_REC)) < 0.6,
        "mask_in": rng.random((N_REC, N_IN)) < 0.7,
        "mask_out": rng.random((N_OUT, N_REC)) < 0.7,
    }


def layers():
    """Return two layers: inputs reach the first, the second is read."""
    first = np.arange(N_REC) < 4
    backward = np.outer(first, ~first)  # from the second to the first
    return {
        "layers": (4, 3),
        "mask": ~backward,
        "mask_in": np.repeat(first[:, None], N_IN, axis=1),
        "mask_out": np.repeat(~first[None], N_OUT, axis=0),
    }


LIF_SPEC = {"tau_m": TAUS, "surrogate": surrogate("triangular")}
ALIF_SPEC = {
    "tau_m": 12.0,
    "tau_a": 3 * TAUS,
    "beta": np.where(np.arange(N_REC) % 3 == 0, 0.0, 0.25),
    "surrogate": surrogate("arctan"),
}
SPIKING = {
    "LIF": {"cell": LIF(**LIF_SPEC)},
    "LIF current": {"cell": LIF(**LIF_SPEC, tau_syn=TAUS / 3)},
    "LIF refractory": {
        "cell": LIF(9.0, t_ref=3.0, surrogate=surrogate("fast-sigmoid"))
    },
    "LIF reset to zero": {"cell": LIF(**LIF_SPEC, reset="zero")},
    "LIF leak": {"cell": LIF(**LIF_SPEC, input_scaling="leak"), "drive": 8.0},
    "ALIF": {"cell": ALIF(**{**ALIF_SPEC, "surrogate": surrogate("exponential")})},
    "ALIF subtract, refractory": {"cell": ALIF(**ALIF_SPEC, t_ref=3.0)},
    "ALIF coarse dt": {"cell": ALIF(**ALIF_SPEC), "dt": 2.0},
    "ALIF everything": {
        "cell": ALIF(**ALIF_SPEC, tau_syn=4.0, t_ref=3.0, v_th=TAUS / 12, reset="zero")
    },
}
RATE = {
    f"rate {activation} {placement}": {
        "cell": LeakyRate(TAUS / 3, activation=activation, placement=placement),
        "drive": drive,
    }
    for activation, drive in (("relu", 1.0), ("tanh", 1.5), ("softplus", 0.7))
    for placement in ("inside", "outside")
} | {
    "rate tanh current": {"cell": LeakyRate(5.0, TAUS / 4, "tanh")},
    "rate softplus outside current unit": {
        "cell": LeakyRate(3.0, 2.0, "softplus", "outside", "unit"),
        "drive": 0.15,
    },
    "rate tanh without leak": {"cell": LeakyRate(0.0, activation="tanh")},
}
SHORT = {"tau_m": 10.0, "surrogate": surrogate("triangular")}
WIRED = {
    "LIF delays": {"cell": LIF(**SHORT), "delay": delays()},
    "LIF delay 3": {"cell": LIF(**SHORT, reset="zero"), "delay": 3},
    "LIF delays, masks": {"cell": LIF(**SHORT), "delay": delays(), **masks()},
    "LIF layers": {"cell": LIF(**SHORT), "drive": 1.4, **layers()},
    "ALIF masks": {"cell": ALIF(**SHORT, tau_a=40.0, beta=0.2), **masks()},
    "ALIF delays, current": {
        "cell": ALIF(**SHORT, tau_a=40.0, beta=0.2, tau_syn=3.0),
        "delay": delays(),
    },
    "rate tanh delays": {"cell": LeakyRate(4.0, activation="tanh"), "delay": delays()},
    "rate softplus outside delays": {
        "cell": LeakyRate(4.0, activation="softplus", placement="outside"),
        "delay": delays(),
    },
    "rate relu masks": {"cell": LeakyRate(4.0), **masks()},
    "rate tanh layers": {"cell": LeakyRate(4.0, activation="tanh"), **layers()},
}
CASES = {**SPIKING, **RATE, **WIRED}


def build(case, seed=0, **changes):
    """Return the network of a case with drawn weights; all connections by default."""
    spec = {
        "readout": LeakyReadout(8.0),
        "mask": np.ones((N_REC, N_REC), bool),
        "dtype": "float64",
        **CASES[case],
        **changes,
    }
    drive = spec.pop("drive", 1.0)
    network = RecurrentNetwork(N_IN, N_REC, N_OUT, **spec)
    network.initialise(seed, gain=drive, gain_in=drive)
    rng = np.random.default_rng(seed + 1)
    network.params.bias[...] = 0.1 * rng.random(N_REC)
    network.params.b_out[...] = 0.1 * rng.standard_normal(N_OUT)
    return network


def draw_input(seed=0, n_steps=N_STEPS):
    """Draw graded input (T, B, n_in), zero at most places."""
    rng = np.random.default_rng(seed + 2)
    shape = (n_steps, N_SAMPLES, N_IN)
    return (rng.random(shape) < 0.4) * rng.uniform(0.2, 1.8, shape)


PARTS = ("broadcast", "neuron", "direct")


def draw_signal(network, x, seed=0, parts=PARTS):
    """Draw a learning signal with feedback of its own and the named parts."""
    rng = np.random.default_rng(seed + 3)
    n_steps, n_samples = x.shape[:2]
    drawn = {
        "error": rng.standard_normal((n_steps, n_samples, network.n_out)),
        "feedback": rng.standard_normal((network.n_rec, network.n_out)),
        "broadcast": rng.standard_normal((n_steps, n_samples, network.n_out)),
        "neuron": rng.standard_normal((n_samples, network.n_rec)),
        "direct": rng.standard_normal((n_steps, n_samples, network.n_rec)),
    }
    return SimpleNamespace(
        **{k: v for k, v in drawn.items() if k in ("error", "feedback", *parts)}
    )


def compute(network, x, signal, name, **options):
    """Return the gradients of a rule of spikelearn by name."""
    chosen = rule(name, **options)
    record = network.run(x, record=chosen.needs(network))
    given = LearningSignal(**vars(signal))
    return chosen.gradients(network, record, given).arrays()


def distance(got, expected):
    """Return the largest max |got - expected| / max |expected| over parameters."""
    errors = []
    for name, reference in expected.items():
        scale = np.abs(reference).max()
        error = np.abs(got[name] - reference).max()
        errors.append(error / scale if scale > 0 else error)
    return float(max(errors))


def assert_alive(network, run):
    """Fail if the activity of a torch run cannot tell gradients apart."""
    sent = run.array("sent")
    if run.specification.spiking:
        assert 0.02 < sent.mean() < 0.6
        assert (sent.sum((0, 1)) > 0).sum() > network.n_rec / 2
        assert np.mean(run.array("ready")) > 0.05
        return
    argument = run.array("argument")
    assert argument.std() > 0.05
    if run.specification.activation == "relu":
        assert 0.1 < (argument > 0).mean() < 0.95
    else:
        assert np.mean(np.abs(argument) < 2) > 0.5, "saturated"


def assert_gradients_alive(gradients):
    """Fail if a gradient is absent or not finite."""
    for name, gradient in gradients.items():
        assert np.isfinite(gradient).all(), name
        assert np.linalg.norm(gradient) > 1e-3, name
