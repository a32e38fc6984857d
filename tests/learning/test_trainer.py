"""The training loop with every rule: masks, updates in trials, signals, resuming."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest

from spikelearn.connectivity import stack
from spikelearn.errors import InvalidValue
from spikelearn.learning.homeostasis import FiringRate
from spikelearn.learning.losses import Classification, Regression
from spikelearn.learning.oja import Oja, WeightDecay
from spikelearn.learning.optimizers import SGD, Adam
from spikelearn.learning.reward import ActorCritic
from spikelearn.learning.rules import (
    BPTT,
    DECOLLE,
    MDGL,
    RFLO,
    RSTDP,
    RTRL,
    RULES,
    STLLR,
    EProp,
    ModProp,
    SnAp1,
)
from spikelearn.learning.signals import FEEDBACKS, Feedback, LearningSignal
from spikelearn.learning.trainer import Trainer
from spikelearn.network import ALIF, LIF, LeakyRate, LeakyReadout, RecurrentNetwork
from spikelearn.tasks import Batch
from tests.helpers import delays, make_network

N_IN, N_REC, N_OUT, T = 4, 9, 2, 20
TYPES = np.arange(N_REC) % 2
LOSSES = {
    "regression": Regression("mean"),
    "classification": Classification(),
    "reward": ActorCritic(),
}


@dataclass(frozen=True)
class Toy:
    """Frozen spike patterns, one per class: what a trainer needs of a task.

    Regression: a sine, whose phase is that of the class. Classification: the class.
    Reward: 1 for the action of that number.
    """

    kind: str = "regression"
    n_steps: int = T
    name: str = "toy"
    n_in: int = N_IN
    n_out: int = N_OUT
    dt: float = 1.0

    def _batch(self, rng, size):
        classes = rng.integers(0, 2, size)
        patterns = np.random.default_rng(1).random((2, self.n_steps, self.n_in)) < 0.4
        x = patterns[classes].transpose(1, 0, 2).astype(np.uint8)
        mask = np.ones(self.n_steps, np.float32)
        if self.kind == "regression":
            phase = np.arange(self.n_steps)[:, None] / 5 + 2.0 * classes
            target = np.repeat(np.sin(phase)[:, :, None], self.n_out, axis=2)
        elif self.kind == "classification":
            target = classes.astype(np.int64)
        else:
            target = np.eye(self.n_out - 1)[classes]
            mask[: self.n_steps // 2] = 0.0
        return Batch(x, target, mask)

    def train_batch(self, iteration, size, seed):
        return self._batch(np.random.default_rng([seed, iteration]), size)

    def evaluation(self, split, size, batch_size):
        yield self._batch(np.random.default_rng(len(split)), size or 50)


CELLS = {
    "LIF": LIF(tau_m=10.0),
    "ALIF": ALIF(tau_m=10.0, tau_a=50.0, beta=0.1),
    "rate": LeakyRate(tau_m=5.0, activation="tanh"),
}


def make_trainer(rule, *, kind="regression", cell="LIF", seed=0, net=None, **options):
    task = Toy(kind, n_out=3 if kind == "reward" else N_OUT)
    spec = {
        "n_rec": N_REC,
        "n_out": task.n_out,
        "cell": CELLS[cell],
        "cell_types": TYPES,
        "readout": LeakyReadout(6.0),
        "drive": 1.0 if cell == "rate" else 1.6,
    }
    network = make_network(seed, **spec | (net or {}))
    usual = {
        "optimizer": SGD(0.05),
        "feedback": Feedback("symmetric"),
        "batch_size": 6,
        "iterations": 1000,
    }
    return Trainer(network, task, LOSSES[kind], rule, **usual | options)


def weights(trainer):
    return {k: v.copy() for k, v in trainer.network.params.arrays().items()}


def train(trainer, n):
    return [trainer.step() for _ in range(n)]


def assert_same(one, two):
    first, second = one.state(), two.state()
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert np.array_equal(second[name], array), name


# Memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["e-prop", "bptt", "snap-1"])
def test_a_trial_that_takes_too_much_memory_is_learned_in_pieces(name, monkeypatch):
    rule = EVERY[name]
    options = {"rate": FiringRate(20.0, 0.1), "threads": 2}
    whole, pieces = (make_trainer(rule, **options) for _ in range(2))
    expected = train(whole, 3)
    chunks = []
    run_checkpointed = RecurrentNetwork.run_checkpointed

    def spy(network, x, chunk_steps, **rest):
        chunks.append(chunk_steps)
        return run_checkpointed(network, x, chunk_steps, **rest)

    monkeypatch.setattr(RecurrentNetwork, "run_checkpointed", spy)
    monkeypatch.setenv("SPIKELEARN_MEMORY_LIMIT", "16kB")
    got = train(pieces, 3)
    assert len(chunks) == 3
    assert all(1 <= chunk < T for chunk in chunks)
    for one, other in zip(got, expected, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-9)
        assert one.rate_hz == other.rate_hz
    for array, other in zip(
        weights(pieces).values(), weights(whole).values(), strict=True
    ):
        np.testing.assert_allclose(array, other, rtol=1e-9, atol=1e-12)


# What may exist ---------------------------------------------------------------------

EVERY = {
    "bptt": BPTT(reset=True),
    "rtrl": RTRL(),
    "e-prop": EProp(),
    "rflo": RFLO(),
    "snap-1": SnAp1(),
    "mdgl": MDGL(),
    "mdgl one-hop": MDGL("one-hop"),
    "mdgl online": MDGL("online"),
    "mdgl non-local": MDGL(non_local=True),
    "modprop": ModProp(),
    "decolle": DECOLLE(),
    "s-tllr": STLLR(),
    "r-stdp": RSTDP(tau_plus=6.0, tau_minus=9.0, tau_e=30.0),
}
OPTIMIZERS = {
    "sgd": SGD(20.0),
    "momentum": SGD(10.0, 0.9),
    "adam": Adam(0.1),
    "adam tf1": Adam(0.1, form="tf1"),
}


def test_every_rule_is_in_the_list():
    assert {rule.info.name for rule in EVERY.values()} == set(RULES)


def wanted(rule):
    """Return the kinds of task, cell and feedback that suit a rule."""
    kind = "reward" if rule.info.signal == "reward" else "regression"
    cell = "rate" if rule.info.cells == ("rate",) else "LIF"
    feedback = "random" if rule.info.hops == "none" else "adaptive"
    scale = 1.0 if feedback == "random" else None
    if rule.info.signal == "local":
        feedback, scale = "local", None
    return {"kind": kind, "cell": cell, "feedback": Feedback(feedback, scale)}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", EVERY)
def test_training_keeps_masks_signs_and_stacks(name, optimizer):
    """Steps are large: many a weight would change its sign."""
    rule = EVERY[name]
    signs = np.array([1, -1, 0] * 3)
    options = wanted(rule)
    n_out, chosen = N_OUT, OPTIMIZERS[optimizer]
    if options["kind"] == "reward":
        n_out = 3
        if isinstance(chosen, SGD):
            chosen = replace(chosen, lr=chosen.lr / 50)  # the critic would diverge
    structure = stack(N_IN, (3, 3, 3), n_out, [True, False, True])
    trainer = make_trainer(
        rule,
        **options,
        net={"signs": signs, "drive": 3.0, **structure},
        optimizer=chosen,
        weight_decay=0.01,
        terms=(Oja("neuron", 0.05), Oja("rescaled", 0.05), WeightDecay(0.01)),
    )
    network, before = trainer.network, weights(trainer)
    for metrics in train(trainer, 4):
        assert np.isfinite(metrics.loss)
        assert metrics.gradient_norm > 0
        after = weights(trainer)
        for array, mask in network.masks.items():
            assert not mask.all()
            assert not after[array][~mask].any(), array
        assert not (after["w_rec"] * signs < 0).any()
    for array, mask in network.masks.items():
        changed = (after[array] != before[array])[mask]
        assert changed.mean() > 0.3, f"{array}: a control that lives"
    obeying = network.mask & (signs != 0)
    assert (after["w_rec"] == 0)[obeying].any(), "a weight has met the wall"


@pytest.mark.parametrize("kind", ["symmetric", "adaptive"])
def test_no_layer_is_left_without_a_learning_signal(kind):
    net = stack(N_IN, (5, 4), N_OUT)
    message = r"must reach every layer with rule 'e-prop'; got .* no readout at layer 0"
    with pytest.raises(InvalidValue, match=message):
        make_trainer(EProp(), net=net, feedback=Feedback(kind))
    for rule, feedback in ((EProp(), "random"), (MDGL("one-hop"), kind)):
        trainer = make_trainer(rule, net=net, feedback=Feedback(feedback))
        before = weights(trainer)
        train(trainer, 2)
        assert (weights(trainer)["w_in"] != before["w_in"]).any()


def test_terms_count_once_per_trial_and_see_all_of_it():
    """Whatever the pieces, what Oja's rule and the decay do is that of the trial."""
    moved = []
    for pieces in (0, 1, 5):
        trainer = make_trainer(
            EProp(),
            optimizer=SGD(1e-12),
            update_every=pieces,
            terms=(Oja("neuron", 0.05), WeightDecay(0.1)),
        )
        before = weights(trainer)["w_rec"].copy()
        trainer.step()
        moved.append(weights(trainer)["w_rec"] - before)
    assert np.abs(moved[0]).max() > 1e-3
    for other in moved[1:]:
        np.testing.assert_allclose(other, moved[0], rtol=1e-5, atol=1e-7)


def test_without_the_projection_signs_would_be_lost(monkeypatch):
    """Negative control."""
    signs = np.array([1, -1, 0] * 3)
    trainer = make_trainer(EProp(), net={"signs": signs}, optimizer=Adam(0.1))
    monkeypatch.setattr(type(trainer.network), "constrain", lambda self: None)
    train(trainer, 4)
    assert (trainer.network.params.w_rec * signs < 0).any()


@pytest.mark.parametrize("name", ["bptt", "e-prop", "mdgl", "rflo"])
def test_only_what_is_trainable_moves(name):
    rule = EVERY[name]
    trainer = make_trainer(
        rule, **wanted(rule), trainable=("w_in",), weight_decay=0.1, terms=(Oja(),)
    )
    before = weights(trainer)
    train(trainer, 3)
    for array, value in weights(trainer).items():
        assert np.array_equal(value, before[array]) == (array != "w_in")


# Learning ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in EVERY if n != "r-stdp"])
def test_every_rule_learns_a_small_task(name):
    rule = EVERY[name]
    options = wanted(rule)
    if rule.info.signal != "local":
        options["feedback"] = Feedback("symmetric")
    trainer = make_trainer(rule, **options, optimizer=Adam(0.01), batch_size=12)
    losses = [metrics.loss for metrics in train(trainer, 200)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


@pytest.mark.parametrize("name", ["e-prop", "bptt", "s-tllr"])
def test_a_reward_task_is_learned_from_reward(name):
    trainer = make_trainer(
        EVERY[name], kind="reward", optimizer=Adam(0.01), batch_size=16
    )
    metrics = train(trainer, 150)
    rewards = [-m.loss for m in metrics]
    assert np.mean(rewards[:5]) < 0.75
    assert np.mean(rewards[-10:]) > 0.9
    assert trainer.evaluate("test").loss < -0.9
    assert metrics[0].accuracy is None


def test_rate_units_report_no_firing_rate():
    assert make_trainer(EProp(), cell="rate").step().rate_hz is None
    assert make_trainer(EProp()).step().rate_hz > 0
    assert make_trainer(EProp(), update_every=3).step().rate_hz > 0
    assert make_trainer(EProp(), cell="rate").evaluate("test").rate_hz is None


# Updates within a trial -------------------------------------------------------------

ONLINE = ["e-prop", "rflo", "snap-1", "mdgl online", "decolle"]


@pytest.mark.parametrize("length", [T, T + 7])
@pytest.mark.parametrize("name", ONLINE)
def test_one_update_within_a_trial_is_one_at_its_end(name, length):
    rule = EVERY[name]
    options = wanted(rule) | {
        "terms": (Oja("neuron", 1e-3),),
        "weight_decay": 0.01,
        "clip_norm": 0.5,
    }
    if options["cell"] != "rate":
        options["rate"] = FiringRate(10.0, 5.0)
    at_end = make_trainer(rule, **options)
    options["feedback"] = replace(options["feedback"], matrix=np.empty((0, 0)))
    within = make_trainer(rule, **options, update_every=length)
    for a, b in zip(train(at_end, 3), train(within, 3), strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-9)
        assert b.gradient_norm == pytest.approx(a.gradient_norm, rel=1e-9)
        assert b.rate_hz == (a.rate_hz and pytest.approx(a.rate_hz))
    before, after = weights(at_end), weights(within)
    for array, value in before.items():
        np.testing.assert_allclose(after[array], value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["e-prop", "snap-1"])
def test_small_steps_within_a_trial_add_up_to_one_at_its_end(name):
    """In the limit of a small learning rate the weights hardly move in between."""
    lr = 1e-7
    at_end = make_trainer(EVERY[name], optimizer=SGD(lr))
    within = make_trainer(EVERY[name], optimizer=SGD(lr), update_every=3)
    start = weights(at_end)
    at_end.step(), within.step()
    end, middle = weights(at_end), weights(within)
    for array, value in start.items():
        step = end[array] - value
        assert np.abs(step).max() > 1e-3 * lr
        difference = np.abs(middle[array] - end[array]).max()
        assert difference < 1e-4 * np.abs(step).max()


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("name", ONLINE)
def test_updates_change_the_weights_within_a_trial(name, every, monkeypatch):
    rule = EVERY[name]
    trainer = make_trainer(rule, **wanted(rule), update_every=every)
    seen = []
    update = Trainer._update

    def spy(self, *arguments):
        norm = update(self, *arguments)
        seen.append(self.network.params.w_in.copy())
        return norm

    monkeypatch.setattr(Trainer, "_update", spy)
    trainer.step()
    assert len(seen) == -(-T // every)
    moves = [np.abs(b - a).max() for a, b in itertools.pairwise(seen)]
    assert np.count_nonzero(moves) > 0.7 * len(moves)


@pytest.mark.parametrize("name", ["e-prop", "mdgl online", "decolle"])
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_updates_within_a_trial_learn(name, kind):
    rule = EVERY[name]
    options = wanted(rule) | {"kind": kind}
    if name != "decolle":
        options["feedback"] = Feedback("symmetric")
    trainer = make_trainer(rule, **options, optimizer=Adam(2e-3), update_every=1)
    losses = [metrics.loss for metrics in train(trainer, 70)]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize("name", ["bptt", "rtrl", "mdgl", "modprop", "s-tllr"])
def test_rules_that_need_the_end_of_a_trial_refuse(name):
    message = rf"'{EVERY[name].info.name}'.*(got 3|at the end of a trial)"
    with pytest.raises(InvalidValue, match=message):
        make_trainer(EVERY[name], update_every=3)
    with pytest.raises(InvalidValue, match=r"^Trainer\.update_every must be >= 0"):
        make_trainer(EVERY[name], update_every=-1)


def test_updates_within_a_trial_know_no_reward():
    message = r"^Trainer\.update_every must be 0 with a reward task; got 2\. \(An act"
    with pytest.raises(InvalidValue, match=message):
        make_trainer(EProp(), kind="reward", update_every=2)


def test_own_delays_refuse_updates_within_a_trial():
    net = {"mask": np.ones((N_REC, N_REC), bool), "delay": 2}
    with pytest.raises(InvalidValue, match=r"^rule 'snap-1' online must have delays"):
        make_trainer(SnAp1(), net=net, update_every=2)
    make_trainer(SnAp1(), net=net)


# Signals ----------------------------------------------------------------------------


class Spy(EProp):
    """e-prop that keeps the signals that it gets."""

    def gradients(self, network, record, signal, threads=1):
        self.signals.append(signal)
        return super().gradients(network, record, signal, threads)

    @property
    def signals(self):
        return vars(self).setdefault("_signals_seen", [])


def one_signal(kind, *, noise=0.0, seed=0, task="regression", steps=1, net=None):
    rule = Spy()
    trainer = make_trainer(
        rule, kind=task, feedback=Feedback(kind, noise=noise), seed=0, net=net
    )
    trainer.seed = seed
    train(trainer, steps)
    return rule.signals, trainer


@pytest.mark.parametrize("kind", ["symmetric", "random", "adaptive"])
def test_the_error_is_what_is_carried(kind):
    (signal,), _ = one_signal(kind)
    assert np.abs(signal.error).max() > 0
    assert np.array_equal(signal.broadcast, signal.error)
    assert signal.direct is None
    assert signal.neuron is None


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_target_feedback_knows_nothing_of_the_answer(task):
    (signal,), trainer = one_signal("target", task=task)
    batch = trainer.task.train_batch(0, 6, 0)
    if task == "regression":
        expected = -batch.target / (T * 6)
    else:
        expected = -np.broadcast_to(np.eye(2)[batch.target], (T, 6, 2)) / (T * 6)
    np.testing.assert_allclose(signal.broadcast, expected, rtol=1e-6)
    assert not np.allclose(signal.error, signal.broadcast)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_local_feedback_is_the_error_of_a_readout_of_each_layer(task):
    net = stack(N_IN, (4, 5), N_OUT)
    (signal,), trainer = one_signal("local", task=task, net=net)
    assert not signal.broadcast.any()
    assert signal.error.any(), "the readout learns as ever"
    fresh = make_trainer(BPTT(), kind=task, net=net)
    batch = fresh.task.train_batch(0, 6, 0)
    r, matrix = fresh.network.run(batch.x).output, trainer.feedback.matrix
    for layer in (slice(0, 4), slice(4, 9)):
        y = np.einsum("tbj,jk->tbk", r[..., layer], matrix[layer])
        error = LOSSES[task](y, batch.target, batch.mask).error
        expected = np.einsum("tbk,jk->tbj", error, matrix[layer])
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(signal.direct[..., layer], expected, atol=1e-12)
    whole = LOSSES[task](r @ matrix, batch.target, batch.mask).error @ matrix.T
    assert not np.allclose(signal.direct, whole), "control: one readout for all"


@pytest.mark.parametrize("kind", ["symmetric", "target"])
def test_noise_has_the_stated_size_and_a_seed(kind):
    (plain,), _ = one_signal(kind)
    (noisy,), _ = one_signal(kind, noise=0.5)
    (again,), _ = one_signal(kind, noise=0.5)
    (other,), _ = one_signal(kind, noise=0.5, seed=1)
    assert np.array_equal(noisy.error, plain.error), "the readout's error is untouched"
    assert np.array_equal(noisy.broadcast, again.broadcast)
    difference = noisy.broadcast - plain.broadcast
    size = np.sqrt(np.mean(plain.broadcast**2))
    assert difference.std() == pytest.approx(0.5 * size, rel=0.2)
    assert not np.array_equal(other.broadcast - other.error, difference)


def test_noise_changes_the_update_of_the_neurons_only():
    trainers = [
        make_trainer(EProp(), feedback=Feedback("symmetric", noise=n)) for n in (0, 1)
    ]
    for trainer in trainers:
        trainer.step()
    plain, noisy = map(weights, trainers)
    for name in ("w_out", "b_out"):
        assert np.array_equal(plain[name], noisy[name])
    for name in ("w_in", "w_rec"):
        assert np.abs(plain[name] - noisy[name]).max() > 1e-6


def test_noise_differs_from_iteration_to_iteration():
    signals, _ = one_signal("symmetric", noise=0.5, steps=2)
    first, second = (s.broadcast - s.error for s in signals)
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] < 0.5


def test_where_the_error_is_silent_there_is_no_noise():
    error = np.zeros((10, 2, 3))
    error[4:6, 1] = 1.0
    carried = Feedback(noise=0.3).broadcast(error, error, np.random.default_rng(0))
    active = carried.any(axis=2)
    assert np.argwhere(active).tolist() == [[4, 1], [5, 1]]
    assert not np.allclose(carried, error)
    nothing = np.zeros_like(error)
    got = Feedback(noise=0.3).broadcast(nothing, nothing, np.random.default_rng(0))
    assert not got.any()


def test_the_firing_rate_reaches_the_neurons():
    plain = make_trainer(EProp())
    pulled = make_trainer(EProp(), rate=FiringRate(0.0, 1e3))
    rates = [[m.rate_hz for m in train(t, 30)][-1] for t in (plain, pulled)]
    assert rates[1] < 0.7 * rates[0]


def test_terms_are_added_after_the_step():
    moved = make_trainer(EProp(), optimizer=SGD(1e-12), terms=(WeightDecay(0.25),))
    before = weights(moved)
    moved.step()
    after = weights(moved)
    np.testing.assert_allclose(after["w_rec"], 0.75 * before["w_rec"], atol=1e-9)
    np.testing.assert_allclose(after["w_in"], before["w_in"], atol=1e-9)


def test_all_terms_see_the_same_weights():
    """Two decays of a quarter take off a half, not 7/16."""
    terms = (WeightDecay(0.25), WeightDecay(0.25))
    trainer = make_trainer(EProp(), optimizer=SGD(1e-12), terms=terms)
    before = weights(trainer)["w_rec"]
    trainer.step()
    after = weights(trainer)["w_rec"]
    np.testing.assert_allclose(after, 0.5 * before, atol=1e-9)


# Resuming ---------------------------------------------------------------------------

RESUMED = {
    "update_every": ("e-prop", {"update_every": 3}),
    "oja": ("bptt", {"terms": (Oja("subspace", 1e-2),)}),
    "delays": ("e-prop", {"net": {"delay": delays(N_REC, 4)}}),
    "local": ("decolle", {"net": stack(N_IN, (4, 5), N_OUT)}),
    "noise": ("e-prop", {"feedback": Feedback("random", noise=0.3)}),
    "reward": ("e-prop", {"kind": "reward"}),
    "r-stdp": ("r-stdp", {}),
    "all at once": (
        "mdgl online",
        {
            "update_every": 4,
            "terms": (Oja(),),
            "feedback": Feedback("adaptive", noise=0.3),
            "weight_decay": 0.01,
            "schedule": "cosine",
            "rate": FiringRate(10.0, 1.0),
            "net": {"signs": np.array([1, -1, 0] * 3)},
        },
    ),
}


@pytest.mark.parametrize("case", RESUMED)
def test_stopped_and_resumed_is_the_same_bit_for_bit(case):
    name, options = RESUMED[case]
    options = wanted(EVERY[name]) | {"optimizer": Adam(0.01), "seed": 3} | options

    def fresh():
        feedback = options["feedback"]
        return make_trainer(EVERY[name], **options | {"feedback": replace(feedback)})

    whole, first, second = fresh(), fresh(), fresh()
    expected = train(whole, 6)
    train(first, 3)
    state = {key: array.copy() for key, array in first.state().items()}
    second.load_state(state)
    assert [dataclasses.asdict(m) for m in train(second, 3)] == [
        dataclasses.asdict(m) for m in expected[3:]
    ]
    assert_same(whole, second)
    late = fresh()
    train(late, 3)
    assert not np.array_equal(late.state()["params/w_in"], whole.state()["params/w_in"])


@pytest.mark.parametrize("case", RESUMED)
def test_threads_do_not_change_training(case):
    name, options = RESUMED[case]
    options = wanted(EVERY[name]) | {"optimizer": Adam(0.01)} | options
    trainers = []
    for threads in (1, 2):
        feedback = replace(options["feedback"])
        new = options | {"feedback": feedback, "threads": threads}
        trainers.append(make_trainer(EVERY[name], **new))
        train(trainers[-1], 2)
    assert_same(*trainers)


def test_actions_are_drawn_anew_at_every_iteration():
    """The draws depend on seed and iteration, and on nothing else."""
    trainer = make_trainer(EProp(), kind="reward", batch_size=32)
    draws = []
    loss = trainer.loss

    def spy(y, target, mask, rng=None):
        result = loss(y * 0.0, target, mask, rng)
        draws.append(result.prediction)
        return result

    trainer.loss = spy
    train(trainer, 2)
    trainer.iteration = 0
    train(trainer, 1)
    first, second, again = draws
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)


# Refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["target", "local"])
def test_a_reward_is_no_target(kind):
    message = rf"^Feedback\.kind must be .*reward; got {kind}\. \(Use 'symmetric'"
    with pytest.raises(InvalidValue, match=message):
        make_trainer(EProp(), kind="reward", feedback=Feedback(kind))
    make_trainer(EProp(), feedback=Feedback(kind))


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_r_stdp_needs_a_reward(kind):
    message = rf"^rule 'r-stdp' must be used with a reward task; got {kind}\."
    with pytest.raises(InvalidValue, match=message):
        make_trainer(RSTDP(), kind=kind)


def test_r_stdp_knows_no_firing_rate():
    message = r"^FiringRate\.strength must be 0 with rule 'r-stdp'; got 2\."
    with pytest.raises(InvalidValue, match=message):
        make_trainer(RSTDP(), kind="reward", rate=FiringRate(10.0, 2.0))


@pytest.mark.parametrize("kind", [k for k in FEEDBACKS if k != "local"])
def test_decolle_needs_local_readouts(kind):
    message = rf"^Feedback\.kind must be 'local' with rule 'decolle'; got {kind}\."
    with pytest.raises(InvalidValue, match=message):
        make_trainer(DECOLLE(), feedback=Feedback(kind))


def test_rate_units_have_no_firing_rate_to_pull():
    message = r"^FiringRate\.strength must be 0 for cells without spikes; got 1\."
    with pytest.raises(InvalidValue, match=message):
        make_trainer(EProp(), cell="rate", rate=FiringRate(10.0, 1.0))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (RFLO(), "rule 'rflo' must be used with cells rate; got LIF"),
        (MDGL(), "rule 'mdgl' must have cell types"),
        (ModProp(), "rule 'modprop' must have cell types"),
    ],
)
def test_a_rule_that_does_not_suit_is_refused_at_once(rule, message):
    with pytest.raises(InvalidValue, match=message):
        make_trainer(rule, net={"cell_types": None})


@pytest.mark.parametrize("noise", [-0.1, np.nan, np.inf])
def test_noise_out_of_range(noise):
    with pytest.raises(InvalidValue, match=r"^Feedback\.noise must be >= 0 and finite"):
        Feedback(noise=noise)


def test_a_signal_without_parts_is_the_default():
    signal = LearningSignal(np.zeros((1, 1, 1)), np.zeros((1, 1)))
    parts = ("neuron", "broadcast", "direct", "reward")
    assert all(getattr(signal, part) is None for part in parts)
