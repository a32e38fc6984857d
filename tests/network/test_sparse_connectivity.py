"""Connection rules, rows of targets, own delays, and the memory that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.errors import InvalidValue
from spikelearn.network.sparse import (
    Bernoulli,
    DeltaLIF,
    Explicit,
    FixedIndegree,
    Population,
    Projection,
    SparseNetwork,
    memory,
    rules,
)
from tests.reference.sparse import synapse_list

CELL = DeltaLIF()


def network(rule, pre="A", post=("A", "B"), delay=1.0, *, sizes=(300, 200), **options):
    populations = {n: Population(k, CELL) for n, k in zip("AB", sizes, strict=True)}
    return SparseNetwork(
        populations, [Projection(pre, post, rule, 0.1, delay)], **options
    )


def within(count, n, p, sigmas=4.5):
    """Whether counts of n trials each are those of a binomial variable.

    Small ones are skewed: four more are allowed unless nothing is random.
    """
    slack = 4.0 if p < 1 else 0.0
    return np.all(np.abs(count - n * p) <= sigmas * np.sqrt(n * p * (1 - p)) + slack)


@pytest.mark.parametrize("pieces", [64, 1000, rules.PAIRS_AT_ONCE])
@pytest.mark.parametrize("own", [False, True])
def test_fixed_indegree(own, pieces, monkeypatch):
    monkeypatch.setattr(rules, "PAIRS_AT_ONCE", pieces)
    pre, post, _, _ = synapse_list(network(FixedIndegree(40, own), "B", ("A", "B")))
    np.testing.assert_array_equal(np.bincount(post), 40)
    assert pre.min() >= 300
    assert ((pre == post).sum() > 0) == own
    outdegree = np.bincount(pre - 300, minlength=200)
    assert within(outdegree, 500 * 40, 1 / 200)
    # Which neurons inside the population are drawn does not depend on the target.
    inside = post >= 300
    distance = (pre - post)[inside] % 200
    assert within(
        np.bincount(distance, minlength=200)[1:], inside.sum(), 1 / (200 - (not own))
    )


@pytest.mark.parametrize("p", [0.003, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("own", [False, True])
def test_bernoulli(own, p, monkeypatch):
    monkeypatch.setattr(rules, "PAIRS_AT_ONCE", 777)
    pre, post, _, _ = synapse_list(network(Bernoulli(p, own), "A", ("A", "B")))
    matrix = np.zeros((300, 500), int)
    np.add.at(matrix, (pre, post), 1)
    assert matrix.max() == 1
    assert own or np.trace(matrix) == 0
    free = 300 * 500 - (0 if own else 300)
    assert within(matrix.sum(), free, p)
    if own:
        assert within(np.trace(matrix), 300, p)
    assert within(matrix.sum(axis=0), 300 - (not own) * (np.arange(500) < 300), p)
    assert within(matrix.sum(axis=1), 500 - (not own), p)
    neighbours = matrix[:, 1:] * matrix[:, :-1]
    assert within(neighbours[:, 300:].sum(), neighbours[:, 300:].size, p * p, 6.0)


def test_no_synapses_and_all_of_them():
    assert network(Bernoulli(0.0)).n_synapses == 0
    assert network(Bernoulli(1.0, True)).n_synapses == 300 * 500
    assert network(FixedIndegree(0)).n_synapses == 0
    assert network(Bernoulli(0.0)).run(1.0).n_steps == 10


def test_explicit_synapses_are_kept():
    rng = np.random.default_rng(0)
    pre, post = rng.integers(0, 200, 999), rng.integers(0, 500, 999)
    made = network(Explicit(pre, post), "B", ("A", "B"))
    order = np.lexsort((post, pre))
    found = synapse_list(made)
    np.testing.assert_array_equal(found[0], pre[order] + 300)
    np.testing.assert_array_equal(found[1], post[order])
    with pytest.raises(InvalidValue, match=r"Explicit.post must be < 200 neurons; got"):
        network(Explicit(pre, post), "B", "B")


def test_targets_are_ascending_within_a_row():
    made = network(FixedIndegree(30)).connectivity
    for begin, end in zip(made.pointers[:-1], made.pointers[1:], strict=True):
        assert np.all(np.diff(made.targets[begin:end].astype(int)) >= 0)


@pytest.mark.parametrize(("n", "dtype"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_targets_are_as_narrow_as_neurons_allow(n, dtype):
    last = Explicit(np.array([0]), np.array([n - 1]))
    made = SparseNetwork(
        {"A": Population(n, CELL)}, [Projection("A", "A", last, 1.0, 1.0)]
    )
    assert made.connectivity.targets.dtype == dtype
    assert made.connectivity.targets.tolist() == [n - 1]


def test_own_delays_are_uniform_between_shortest_and_longest():
    made = network(Bernoulli(0.3), delay=(0.5, 2.5))
    delay = synapse_list(made)[3]
    counts = np.bincount(delay)
    assert delay.min() == 5
    assert delay.max() == 25
    assert within(counts[5:], delay.size, 1 / 21)
    assert made.connectivity.extra.dtype == np.uint8
    assert (
        network(Bernoulli(0.3), delay=(0.5, 50.0)).connectivity.extra.dtype == np.uint16
    )


def test_projections_have_their_own_streams():
    """A projection more leaves the synapses of those before it as they were."""
    populations = {name: Population(100, CELL) for name in "AB"}
    first = Projection("A", "B", Bernoulli(0.2), 1.0, (1.0, 2.0))
    second = Projection("B", "A", Bernoulli(0.2), 1.0, (1.0, 3.0))
    one = synapse_list(SparseNetwork(populations, [first], rng=3))
    both = synapse_list(SparseNetwork(populations, [first, second], rng=3))
    for alone, joined in zip(one, both, strict=True):
        np.testing.assert_array_equal(joined[: alone.size], alone)
    assert both[0].size > 1.5 * one[0].size


def test_a_network_that_does_not_fit_is_refused_before_it_is_built(monkeypatch):
    def never(*_):
        raise AssertionError("something was drawn")

    monkeypatch.setattr(FixedIndegree, "pairs", never)
    monkeypatch.setattr(Bernoulli, "pairs", never)
    message = r"must fit 1 GB .*; got 4.14 GB for .* synapses.*A: \d+, B: \d+"
    for rule in (FixedIndegree(1000), Bernoulli(0.001)):
        with pytest.raises(InvalidValue, match=message):
            network(rule, sizes=(999_000, 1_000), memory_limit=10**9)


@pytest.mark.parametrize("rule", [FixedIndegree(50), Bernoulli(0.1)])
def test_the_size_that_would_fit_does_and_a_larger_one_does_not(rule):
    limit = 70_000_000
    with pytest.raises(InvalidValue) as caught:
        network(rule, sizes=(400_000, 100_000), memory_limit=limit)
    text = str(caught.value).partition("populations of ")[2]
    sizes = [int(part.split()[0].rstrip(",")) for part in text.split(": ")[1:]]
    assert 400 < sizes[0] < 390_000
    assert network(rule, sizes=sizes, memory_limit=limit).memory_needed <= limit
    larger = [int(1.02 * size) for size in sizes]
    with pytest.raises(InvalidValue, match="would fit"):
        network(rule, sizes=larger, memory_limit=limit)


def test_nothing_fits():
    with pytest.raises(InvalidValue, match="Not even one neuron"):
        network(FixedIndegree(10), memory_limit=1000)


def test_more_synapses_than_pointers_can_tell_apart():
    with pytest.raises(InvalidValue, match="4294967295 synapses"):
        network(FixedIndegree(10_000), sizes=(400_000, 100_000), memory_limit=10**12)


def test_the_estimate_covers_what_is_held():
    made = network(Bernoulli(0.2), sizes=(3000, 1000), delay=(1.0, 9.0))
    held = made.connectivity.nbytes
    assert held < made.memory_needed
    assert made.memory_needed - memory.BYTES_PER_PAIR * rules.PAIRS_AT_ONCE < 1.7 * held
