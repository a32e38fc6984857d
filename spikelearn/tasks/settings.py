"""Recommended configurations that several tasks share."""

from __future__ import annotations

from typing import Any

from spikelearn.tasks.base import adaptation_strength

__all__ = ["alif_settings", "rate_settings"]


def alif_settings(
    dt: float,
    *,
    tau_a: float = 2000.0,
    rate_strength: float = 0.5,
    iterations: int = 700,
) -> dict[str, dict[str, Any]]:
    """Return settings for e-prop with random feedback; half of 100 cells adapt.

    Parameters
    ----------
    dt
        Time step, ms.
    tau_a
        Time constant of adaptation, ms: about the time to be bridged.
    rate_strength, iterations
        As in `[learning]` and `[training]`.
    """
    tau_m = 20.0
    return {
        "network": {
            "cell": "ALIF",
            "n_rec": 100,
            "adaptive_fraction": 0.5,
            "tau_m": tau_m,
            "tau_a": tau_a,
            "beta": adaptation_strength(1.7, tau_a, tau_m, dt),
            "v_th": 0.6,
            "t_ref": 5.0,
            "tau_out": 20.0,
            "gain": 1.0,
            "reset": "subtract",
            "input_scaling": "unit",
            "readout_scaling": "leak",
        },
        "learning": {
            "rule": "e-prop",
            "feedback": "random",
            "feedback_scale": 1.0,
            "trainable": ["w_in", "w_rec", "w_out"],
            "rate_target_hz": 10.0,
            "rate_strength": rate_strength,
        },
        "optimizer": {
            "name": "adam",
            "lr": 5e-3,
            "form": "tf1",
            "schedule": "cosine",
        },
        "training": {"iterations": iterations, "batch_size": 32},
    }


def rate_settings(
    *,
    activation: str = "relu",
    n_rec: int = 300,
    tau_m: float = 0.0,
    gain: float = 1.25,
    gain_in: float = 3**-0.5,
    gain_out: float = 3**-0.5,
    optimizer: dict[str, Any] | None = None,
    iterations: int = 10_000,
    batch_size: int = 32,
) -> dict[str, dict[str, Any]]:
    """Return settings for rate cells trained by backpropagation through time.

    The defaults are those of Liu et al. 2024 (doi:10.48550/arXiv.2310.08513): 300 ReLU
    cells without leak and without biases, recurrent gain 1.25, gradient descent with
    momentum. Input and readout weights are Gaussian here, with the variance
    1 / (3 n_pre) of the uniform ones published.

    Parameters
    ----------
    activation, n_rec, tau_m, gain, gain_in, gain_out
        As in `[network]`; tau_m in ms, 0 for no leak.
    optimizer
        The section `[optimizer]`; None for the published one.
    iterations, batch_size
        As in `[training]`.
    """
    published = {"name": "sgd", "lr": 3e-3, "momentum": 0.9}
    return {
        "network": {
            "cell": "rate",
            "activation": activation,
            "placement": "inside",
            "n_rec": n_rec,
            "tau_m": tau_m,
            "input_scaling": "leak",
            "tau_out": 0.0,
            "gain": gain,
            "gain_in": gain_in,
            "gain_out": gain_out,
        },
        "learning": {
            "rule": "bptt",
            "feedback": "symmetric",
            "trainable": ["w_in", "w_rec", "w_out"],
        },
        "optimizer": published if optimizer is None else optimizer,
        "training": {"iterations": iterations, "batch_size": batch_size},
    }
