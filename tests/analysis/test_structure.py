"""The table of a matrix: closed forms, the numbers of the reference table, networks."""

from __future__ import annotations

import numpy as np
import pytest

from spikelearn.analysis.lyapunov import trial_exponents
from spikelearn.analysis.structure import (
    describe,
    reference_network,
    reference_ports,
)
from spikelearn.connectivity import Connectivity, match, parse
from spikelearn.errors import InvalidValue
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.matching import largest_exponent
from spikelearn.network import LIF, LeakyRate, RecurrentNetwork

NORM = 26.0  # Frobenius norm of 300 neurons with gain 1.5

# Family, effective rank of the eigenvalues, spectral radius: measured independently at
# N = 300 with all families at this norm.
REFERENCE = [
    ("gaussian", 0.649, 1.53),
    ("orthogonal", 1.00, 1.50),
    ("low_rank(100)", 0.224, 1.59),
    ("low_rank(30)", 0.064, 1.52),
    ("low_rank(1)", 0.003, 2.29),
    ("erdos_renyi(0.1)", 0.642, 1.52),
    ("lognormal", 0.627, 1.56),
    ("dale(balanced=False)", 0.052, 12.43),
    ("dale", 0.372, 1.18),
]


def described(weights, mask=None):
    weights = np.asarray(weights, np.float64)
    there = weights != 0 if mask is None else mask
    return describe(Connectivity(weights, there))


@pytest.mark.parametrize(("text", "rank", "radius"), REFERENCE)
def test_the_table_of_families(text, rank, radius):
    found = describe(match(parse(text).draw(300, 0), "frobenius", NORM))
    assert found.frobenius == pytest.approx(NORM)
    exact = not text.startswith(("erdos", "lognormal"))  # other draws
    assert found.eigenvalue_rank == pytest.approx(rank, abs=0.004 if exact else 0.04)
    assert found.spectral_radius == pytest.approx(radius, rel=0.01 if exact else 0.06)
    assert found.lyapunov is not None


def test_families_whose_recipe_is_not_known_fall_where_the_table_says():
    """Blocks of cell types and chains: few eigenvalues that matter, one that leads."""
    strength = ", ".join(["(1.0, 1.0, 1.0, 1.0)"] * 4)
    blocks = (
        "cell_types({'names': ('E', 'P', 'S', 'V'), 'fractions': (.7, .1, .1, .1), "
        f"'probability': ({strength}), 'strength': ({strength}), "
        "'signs': (1, -1, -1, -1), 'spread': 0.7})"
    )
    chains = "dale(1.0, False, motifs(1, 1, 1, 1))"
    for text, rank in ((blocks, 0.1), (chains, 0.25)):
        found = describe(match(parse(text).draw(300, 0), "frobenius", NORM))
        assert found.eigenvalue_rank < rank
        assert found.spectral_radius > 5


def test_closed_forms():
    found = described(np.diag([4.0, -2.0, 2.0]))
    assert found.frobenius == pytest.approx(np.sqrt(24))
    assert found.operator == found.spectral_radius == 4.0
    assert found.nuclear == pytest.approx(8.0)
    assert found.eigenvalue_rank == pytest.approx(8 / 12)
    p = np.array([0.5, 0.25, 0.25])
    assert found.entropy_rank == pytest.approx(np.exp(-np.sum(p * np.log(p))))
    assert found.stable_rank == pytest.approx(24 / 16)
    assert found.participation_ratio == pytest.approx(24**2 / (256 + 16 + 16))
    assert found.balance == pytest.approx(4 / 8)
    assert found.dale == 1.0
    assert found.density == found.reciprocity == 0.0


@pytest.mark.parametrize("rank", [1, 5, 20])
def test_equal_singular_values_are_counted(rank):
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
    found = described(3.0 * q[:, :rank] @ q[:, :rank].T)
    for name in ("entropy_rank", "stable_rank", "participation_ratio"):
        assert getattr(found, name) == pytest.approx(rank)
    assert found.eigenvalue_rank == pytest.approx(rank / 20)
    assert found.nuclear == pytest.approx(3.0 * rank)


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_ranks_do_not_depend_on_the_scale(scale):
    weights = np.random.default_rng(0).standard_normal((9, 9))
    found, other = described(weights), described(scale * weights)
    for name in ("entropy_rank", "stable_rank", "participation_ratio"):
        assert getattr(other, name) == pytest.approx(getattr(found, name))


def test_signs_and_graph():
    weights = np.array([[0.5, 1.0, 0.0], [2.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
    found = described(weights)
    assert found.balance == pytest.approx((3.5 - 2.0) / 5.5)
    assert found.dale == pytest.approx(2 / 3)
    assert found.density == pytest.approx(4 / 6)
    assert found.reciprocity == 1.0
    forward = described(np.tril(np.ones((4, 4)), -1))
    assert forward.reciprocity == 0.0
    assert forward.spectral_radius == forward.eigenvalue_rank == 0.0
    everywhere = described(np.zeros((4, 4)), np.ones((4, 4), bool))
    assert everywhere.density == everywhere.reciprocity == 1.0
    for name in ("stable_rank", "entropy_rank", "balance", "dale", "frobenius"):
        assert getattr(everywhere, name) == 0.0
    assert everywhere.lyapunov == pytest.approx(-0.1), "the leak alone"


# Exponents --------------------------------------------------------------------------


def test_the_exponent_is_that_of_the_network_under_its_input():
    rng = np.random.default_rng(0)
    x = (rng.random((80, 2, 5)) < 0.2).astype(np.uint8)
    network = RecurrentNetwork(5, 30, 2, cell=LIF(20.0), dtype="float64")
    network.initialise(0, gain_in=2.0)
    found = describe(network, x)
    assert found.lyapunov == largest_exponent(network, x)
    passes = [
        trial_exponents(network, x, jacobian=Flossing().jacobian, passes=p)[0]
        for p in range(5, 13)
    ]
    assert found.lyapunov == pytest.approx(np.mean(passes), abs=1e-9)
    made = Connectivity(network.params.w_rec.copy(), network.mask)
    drawn = describe(made)
    for name, value in drawn.to_dict().items():
        same = getattr(found, name) == pytest.approx(value)
        assert same == (name != "lyapunov"), name
    assert describe(network).lyapunov == pytest.approx(drawn.lyapunov)


def test_the_reference_network_is_the_documented_one():
    made = parse("dale").draw(30, 0)
    network, x = reference_network(made, 4)
    assert isinstance(network.cell, LeakyRate)
    assert network.cell_constants.alpha_m[0] == pytest.approx(np.exp(-0.1))
    assert x.shape == (200, 4, 20)
    ports = reference_ports(30, 4)
    assert np.array_equal(network.params.w_in, ports.w_in)
    assert np.array_equal(network.params.w_out, ports.w_out)
    assert np.array_equal(network.params.w_rec, made.weights)
    assert describe(made, rng=4).lyapunov == largest_exponent(network, x, rng=4)


def test_exponents_that_are_not_defined():
    x = np.zeros((30, 1, 2))
    late = RecurrentNetwork(2, 5, 1, delay=2, cell=LeakyRate(10.0))
    late.initialise(0)
    assert describe(late, x).lyapunov is None
    assert describe(late).lyapunov is None
    for text, there in (
        ("delayed(gaussian, 1, 3)", False),
        ("delayed(gaussian, 1, 1)", True),
    ):
        assert (describe(parse(text).draw(8, 0)).lyapunov is not None) == there
    wild = parse("dale(1.0, False, gaussian(1e30))").draw(20, 0)
    assert describe(wild).lyapunov is None


def test_an_input_goes_with_a_network():
    made = parse("gaussian").draw(5, 0)
    with pytest.raises(InvalidValue, match=r"^describe\.x must be given with a"):
        describe(made, np.zeros((30, 1, 20)))
    network = RecurrentNetwork(2, 5, 1)
    with pytest.raises(InvalidValue, match="input x"):
        describe(network, np.zeros((30, 1, 3)))
