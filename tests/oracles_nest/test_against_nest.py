"""e-prop against NEST: spikes, losses and every weight, over 24 updates.

A loss notices a weight only through the spikes that it flips, so the weights are what
tells two implementations apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.losses import Classification, Regression
from spikelearn.learning.optimizers import SGD, Adam
from spikelearn.network import ALIF, LIF, LeakyReadout, RecurrentNetwork, Surrogate
from tests.helpers import relative_error
from tests.oracles_nest.oracle import make_case, train_with_nest
from tests.plain_training import LEARNED, train

pytestmark = pytest.mark.nest

ITERATIONS = 24
TOLERANCE = 1e-11  # of losses and of weight changes, relative to the largest
NOTICED = 1e-5  # what a changed constant has to make of it


@dataclass(frozen=True)
class Problem:
    """A random network and random trials, everything that the two sides are told."""

    cell: LIF
    readout: LeakyReadout
    optimizer: Any
    firing_rate: FiringRate
    window: int
    x: np.ndarray
    target: np.ndarray
    weights: dict[str, np.ndarray]
    mask: np.ndarray
    feedback: np.ndarray
    batch_size: int = 1

    def network(self):
        n_out, n_rec = self.weights["w_out"].shape
        network = RecurrentNetwork(
            self.x.shape[2],
            n_rec,
            n_out,
            cell=self.cell,
            readout=self.readout,
            mask=self.mask,
            dtype="float64",
        )
        network.params.load(network.params.arrays() | self.weights)
        return network

    def with_nest(self, folder):
        names = ("window", "optimizer", "firing_rate", "feedback", "batch_size")
        options = {name: getattr(self, name) for name in names}
        case = make_case(self.network(), self.x, self.target, **options)
        return train_with_nest(case, folder)

    def with_ours(self):
        """Return the iterations and the weights after the last update."""
        network = self.network()
        classification = self.target.ndim == 1
        mask = np.zeros(self.x.shape[1])
        mask[-self.window :] = 1.0
        batches = []
        for start in range(0, len(self.x), self.batch_size):
            batch = slice(start, start + self.batch_size)
            target = self.target[batch]
            if not classification:
                target = target.transpose(1, 0, 2)
            batches.append((self.x[batch].transpose(1, 0, 2), target))
        loss = Classification() if classification else Regression()
        iterations = train(
            network,
            loss,
            mask,
            self.optimizer,
            self.firing_rate,
            self.feedback,
            batches,
        )
        return iterations, network.params.arrays()


def draw(rng, n_in, n_rec, n_out, n_trials, n_steps, rate, gains):
    """Draw input, sparse weights without self-connections, and feedback."""
    x = (rng.random((n_trials, n_steps, n_in)) < rate).astype(np.uint8)
    x[:, :2] = 0
    mask = rng.random((n_rec, n_rec)) < 0.6
    np.fill_diagonal(mask, False)
    weights = {
        "w_in": gains[0] * rng.normal(0.5, 1.0, (n_rec, n_in)) / np.sqrt(n_in),
        "w_rec": gains[1] * rng.standard_normal((n_rec, n_rec)) / np.sqrt(n_rec),
        "w_out": rng.standard_normal((n_out, n_rec)) / np.sqrt(n_rec),
    }
    weights["w_rec"] *= mask
    feedback = rng.standard_normal((n_rec, n_out))
    return {"x": x, "weights": weights, "mask": mask, "feedback": feedback}


def regression(seed, surrogate="triangular"):
    """Draw a problem with 23 LIF cells, no two alike, and two outputs."""
    rng = np.random.default_rng(seed)
    n_rec, n_steps = 23, 200
    drawn = draw(rng, 7, n_rec, 2, ITERATIONS, n_steps, 0.08, (0.6, 0.3))
    angle = 2.0 * np.pi * np.arange(n_steps)[:, None] / np.array([200.0, 90.0])
    target = 0.5 * np.sin(angle + rng.uniform(0.0, 1.0, (ITERATIONS, 1, 2)))
    cell = LIF(
        tau_m=rng.uniform(10.0, 40.0, n_rec),
        v_th=rng.uniform(0.03, 0.06, n_rec),
        t_ref=rng.integers(0, 5, n_rec).astype(float),
        input_scaling="leak",
        surrogate=Surrogate(surrogate, gamma=0.4, width=0.8),
    )
    return Problem(
        cell=cell,
        readout=LeakyReadout(25.0, "leak"),
        optimizer=SGD(5e-4),
        firing_rate=FiringRate(20.0, 200.0),
        window=150,
        target=target,
        **drawn,
    )


def classification(seed, optimizer, batch_size=1):
    """Draw a problem with 14 LIF and 17 ALIF cells and three classes."""
    rng = np.random.default_rng(seed)
    n_rec, n_trials = 31, ITERATIONS * batch_size
    drawn = draw(rng, 11, n_rec, 3, n_trials, 250, 0.08, (0.6, 0.4))
    cell = ALIF(
        tau_m=rng.uniform(10.0, 30.0, n_rec),
        v_th=rng.uniform(0.5, 0.7, n_rec),
        t_ref=rng.integers(0, 6, n_rec).astype(float),
        tau_a=rng.uniform(50.0, 500.0, n_rec),
        beta=np.where(np.arange(n_rec) < 14, 0.0, rng.uniform(0.02, 0.2, n_rec)),
        input_scaling="unit",
    )
    return Problem(
        cell=cell,
        readout=LeakyReadout(20.0, "leak"),
        optimizer=optimizer,
        firing_rate=FiringRate(15.0, 2.0),
        window=40,
        target=rng.integers(0, 3, n_trials),
        batch_size=batch_size,
        **drawn,
    )


PROBLEMS = {
    "regression": regression(1),
    "regression, fast-sigmoid": regression(2, "fast-sigmoid"),
    "regression, exponential": regression(3, "exponential"),
    "regression, arctan": regression(4, "arctan"),
    "classification, SGD": classification(5, SGD(0.05)),
    "classification, Adam": classification(6, Adam(5e-3, form="tf1")),
    "classification, Adam, batch 2": classification(7, Adam(5e-3, form="tf1"), 2),
}


@pytest.fixture(scope="module")
def nest_says(tmp_path_factory):
    """Answers of NEST by problem, each computed once."""
    answers = {}

    def answer(name):
        if name not in answers:
            answers[name] = PROBLEMS[name].with_nest(tmp_path_factory.mktemp("nest"))
        return answers[name]

    return answer


def delivered(name, x, z):
    """Which presynaptic units reach their synapses in a batch, (pre,) booleans.

    The weights of the others are not compared yet: NEST leaves a change undone until
    the presynaptic neuron fires again. `x` and `z` are (T, B, pre).
    """
    units = {"w_in": x, "w_rec": z[:-1], "w_out": z}[name]
    return units.any(axis=(0, 1))


def differences(problem, answer):
    """Compare ours with NEST's answer; return relative errors by name.

    Weights are compared in every iteration, where NEST has them, and after the last
    update without exception, as changes since the start.
    """
    iterations, final = problem.with_ours()
    size = problem.batch_size
    last = slice(size - 1, None, size)  # the trial that ends an iteration
    ours = np.array([iteration.loss for iteration in iterations])
    errors = {"loss": float(np.max(np.abs(answer["loss"] / ours - 1.0)))}
    spikes = np.concatenate([it.spikes.transpose(1, 0, 2) for it in iterations])
    errors["spikes"] = int(np.sum(spikes != answer["spikes"]))
    for name in LEARNED:
        start = problem.weights[name]
        change = final[name] - start
        errors[name] = relative_error(answer[f"final/{name}"] - start, change)
        within = 0.0
        for i, matrix in enumerate(answer[f"used/{name}"][last]):
            x = problem.x[i * size : (i + 1) * size].transpose(1, 0, 2)
            there = delivered(name, x, iterations[i].spikes)
            difference = np.abs(matrix - iterations[i].weights[name])[:, there]
            within = max(within, float(difference.max()))
        errors[f"{name} within"] = within / float(np.abs(change).max())
    return errors


@pytest.mark.parametrize("name", PROBLEMS)
def test_spikes_losses_and_weights_agree(name, nest_says):
    errors = differences(PROBLEMS[name], nest_says(name))
    assert errors.pop("spikes") == 0
    assert max(errors.values()) < TOLERANCE, errors


@pytest.mark.parametrize("name", PROBLEMS)
def test_there_was_something_to_compare(name, nest_says):
    problem, answer = PROBLEMS[name], nest_says(name)
    assert answer["loss"].shape == (ITERATIONS,)
    assert np.ptp(answer["loss"]) > 0.05 * answer["loss"].mean()
    rates = 1000.0 * answer["spikes"].mean(axis=(1, 2))
    assert rates.min() > 5.0
    assert rates.max() < 120.0
    silent = (answer["spikes"].sum(axis=(0, 1)) == 0).mean()
    assert silent < 0.1
    existing = {name: np.ones_like(w, bool) for name, w in problem.weights.items()}
    existing["w_rec"] = problem.mask
    for weight in LEARNED:
        start, there = problem.weights[weight], existing[weight]
        change = (answer[f"final/{weight}"] - start)[there]
        assert np.sqrt(np.mean(change**2)) > 0.01 * np.std(start[there]), weight
        steps = np.diff(answer[f"used/{weight}"], axis=0).any(axis=(1, 2))
        assert steps.sum() >= ITERATIONS - 1, weight


def changed_cell(problem, **changes):
    return replace(problem, cell=replace(problem.cell, **changes))


CONTROLS = {
    "dampening factor": lambda p: changed_cell(
        p, surrogate=replace(p.cell.surrogate, gamma=1.001 * p.cell.surrogate.gamma)
    ),
    "width of the pseudo-derivative": lambda p: changed_cell(
        p, surrogate=replace(p.cell.surrogate, width=1.001 * p.cell.surrogate.width)
    ),
    "strength of the regulariser": lambda p: replace(
        p, firing_rate=replace(p.firing_rate, strength=1.001 * p.firing_rate.strength)
    ),
    "target rate": lambda p: replace(
        p, firing_rate=replace(p.firing_rate, target_hz=p.firing_rate.target_hz + 0.01)
    ),
    "one feedback weight": lambda p: replace(
        p,
        feedback=p.feedback
        + 1e-3 * (np.arange(p.feedback.size) == 0).reshape(p.feedback.shape),
    ),
    "learning window": lambda p: replace(p, window=p.window + 1),
    "learning rate": lambda p: replace(
        p, optimizer=replace(p.optimizer, lr=1.001 * p.optimizer.lr)
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("name", ["regression", "classification, SGD"])
def test_a_changed_constant_is_noticed(name, control, nest_says):
    """Negative control: one constant of ours is changed by about a thousandth."""
    errors = differences(CONTROLS[control](PROBLEMS[name]), nest_says(name))
    changes = [errors[weight] for weight in LEARNED]
    assert max(changes) > NOTICED, errors


def test_the_form_of_adam_is_noticed(nest_says):
    name = "classification, Adam"
    problem = replace(PROBLEMS[name], optimizer=Adam(5e-3, form="pytorch"))
    errors = differences(problem, nest_says(name))
    assert max(errors[weight] for weight in LEARNED) > NOTICED, errors
