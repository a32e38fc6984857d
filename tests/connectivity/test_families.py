"""Families of connectivity: closed forms, the released recipe, composition, text."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelearn import connectivity
from spikelearn.connectivity import FAMILIES, Ports, parse
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.network import LIF, RecurrentNetwork

N = 60
TABLE = (
    "cell_types(table={'names': ('E', 'I'), 'fractions': (0.8, 0.2), "
    "'probability': ((0.1, 0.5), (0.3, 0.4)), 'strength': ((1.0, 4.0), (1.0, 4.0)), "
    "'signs': (1, -1), 'spread': 0.2})"
)
TEXTS = [
    "gaussian()",
    "gaussian(gain=1.5)",
    "orthogonal(gain=0.9)",
    "low_rank(rank=1)",
    "aligned_low_rank(rank=2, gain=1.5)",
    "lognormal(sigma=0.5)",
    "erdos_renyi(density=0.1)",
    "dale()",
    "dale(excitatory=0.5, balanced=False, base=erdos_renyi(density=0.1))",
    "masked(base=low_rank(rank=30), by=erdos_renyi(density=0.2))",
    "delayed(base=gaussian(), low=1, high=4)",
    "motifs(reciprocal=2.0, density=0.2)",
    TABLE,
    "cell_types(table='potjans_diesmann', gain=0.5)",
    "connectome(name='celegans', inhibitory=0.25, gap_junctions=True)",
    "connectome(name='optic_lobe', method='subsample')",
    "connectome(name='potjans_diesmann')",
    "shuffle(base=connectome(name='celegans'))",
    "degree_preserving(base=dale(base=erdos_renyi(density=0.2)))",
    "spectrum_matched(base=low_rank(rank=2))",
]


def ports(n=N, n_in=4, n_out=3):
    rng = np.random.default_rng(8)
    return Ports(rng.standard_normal((n, n_in)), rng.standard_normal((n_out, n)))


def weights(text, seed=0, n=N):
    return parse(text).draw(n, seed, ports(n)).weights


def cosine(a, b):
    return float(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b))


# All of them ------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_a_draw_fits_a_network_and_repeats(text):
    made = parse(text).draw(N, 3, ports())
    again = parse(text).draw(N, np.random.default_rng(3), ports())
    assert made.weights.dtype == np.float64
    assert made.weights.shape == made.mask.shape == (N, N)
    assert np.isfinite(made.weights).all()
    assert not made.weights[~made.mask].any()
    assert np.array_equal(made.weights, again.weights)
    assert not np.array_equal(made.weights, weights(text, 4))
    spec = {"cell": LIF(), "dtype": "float64", **made.structure()}
    network = RecurrentNetwork(4, N, 3, **spec)
    network.initialise(0, w_rec=made.weights)
    assert np.array_equal(network.params.w_rec, made.weights), "nothing is cut off"


@pytest.mark.parametrize("text", TEXTS)
def test_text_and_family_are_the_same(text):
    family = parse(text)
    assert str(family) == text
    assert parse(str(family)) == family


def test_every_family_has_a_text():
    named = {text.partition("(")[0] for text in TEXTS}
    assert named == set(FAMILIES)


def test_texts_in_other_words():
    assert parse(" gaussian ") == connectivity.gaussian()
    assert parse("low_rank(3, 1.5)") == connectivity.low_rank(rank=3, gain=1.5)
    made = parse("dale(base=erdos_renyi(0.1))")
    assert made == connectivity.dale(base=connectivity.erdos_renyi(0.1))
    composed = connectivity.low_rank(30).masked(connectivity.erdos_renyi(0.2))
    assert parse("masked(low_rank(30), erdos_renyi(0.2))") == composed
    worm = connectivity.connectome("celegans", "block")
    for bare in (
        "connectome(celegans, block)",
        "connectome(method=block, name=celegans)",
    ):
        assert parse(bare) == parse(str(worm)) == worm
    column = "cell_types(table=potjans_diesmann)"
    assert parse(f"dale(base={column})") == connectivity.dale(
        base=connectivity.cell_types("potjans_diesmann")
    )
    delayed = connectivity.gaussian().delayed(2, 5)
    assert parse("delayed(gaussian, 2, 5)") == delayed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lowrank(1)", "unknown family of connectivity 'lowrank'. Did you mean 'low_r"),
        ("low_rank(rnk=1)", "unknown parameter of low_rank 'rnk'. Did you mean 'rank'"),
        ("open('x')", "unknown family of connectivity 'open'"),
        ("connectome(human)", r"unknown connectome 'human'\. \(Known: celegans, opt"),
        ("cell_types(gaussian)", "unknown table of cell types 'gaussian'"),
        ("shuffle(celegans)", r'Texts stand in quotes: connectome\("celegans"\)'),
        ("dale(base=gausian)", r"Did you mean 'gaussian'\?.*Texts stand in quotes"),
    ],
)
def test_unknown_names(text, message):
    with pytest.raises(UnknownName, match=message):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "gaussian(",
        "gaussian() + gaussian()",
        "gaussian(**{})",
        "gaussian(gain=1, gain=2)",
        "gaussian(*[1])",
        "gaussian.__class__()",
        "(lambda: 0)()",
        "gaussian(gain=1 if True else 2)",
        "[gaussian()]",
        "(" * 1500,
        "-" * 90_000 + "1",
        "gaussian(gain=" + "-" * 1500 + "1)",
    ],
)
def test_what_is_no_family(text):
    with pytest.raises(InvalidValue, match=r"^connectivity must be a family with its"):
        parse(text)


def test_what_is_no_text():
    with pytest.raises(InvalidValue, match=r"^connectivity must be a text; got 3"):
        parse(3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("low_rank()", r"^low_rank must be given rank, gain=1\.0; got low_rank\(\)\."),
        ("gaussian(1, 2)", "^gaussian must be given gain=1.0; got .*too many positio"),
        ("gaussian(-1)", "^gaussian.gain must be finite and >= 0; got -1"),
        ("gaussian(True)", "^gaussian.gain must be finite and >= 0; got True"),
        ("gaussian(1e999)", "^gaussian.gain must be finite"),
        ("orthogonal('1')", "^orthogonal.gain must be finite"),
        ("low_rank(0)", "^low_rank.rank must be a whole number >= 1; got 0"),
        ("low_rank(1.0)", "^low_rank.rank must be a whole number >= 1"),
        ("lognormal(0)", "^lognormal.sigma must be > 0 and at most 5; got 0"),
        ("erdos_renyi(0)", r"^erdos_renyi.density must be in \(0, 1\]; got 0"),
        ("erdos_renyi(1.5)", r"^erdos_renyi.density must be in \(0, 1\]; got 1.5"),
        ("dale(2)", r"^dale.excitatory must be in \[0, 1\]; got 2"),
        ("dale(balanced=2)", "^dale.balanced must be True or False"),
        ("dale(base=3)", "^dale.base must be a family of connectivity; got 3"),
        ("masked(gaussian, 3)", "^masked.by must be a family of connectivity; got 3"),
        ("delayed(gaussian, 0, 3)", "^delayed.low must be >= 1 step; got 0"),
        ("delayed(gaussian, 4, 3)", "^delayed.high must be .* >= low = 4; got 3"),
        ("gaussian(" + "9" * 99_999 + ")", "^connectivity must be at most 100000 long"),
        ("dale(base=" * 30 + "gaussian" + ")" * 30, "must be 20 deep at most"),
    ],
)
def test_wrong_parameters(text, message):
    with pytest.raises(InvalidValue, match=message):
        parse(text)


@pytest.mark.parametrize("n", [0, -1, 2.0, True, "3"])
def test_a_wrong_number_of_neurons(n):
    with pytest.raises(InvalidValue, match=r"^gaussian\.n must be a whole number >= 1"):
        connectivity.gaussian().draw(n)


@pytest.mark.parametrize("gain", [1e308, 1e200])
@pytest.mark.parametrize(
    "family",
    [text for text in TEXTS if hasattr(parse(text), "gain")],
)
def test_weights_that_are_too_large(family, gain):
    made = dataclasses.replace(parse(family), gain=gain)
    name = type(made).__name__
    if "low_rank" in name:
        name = "gaussian"
    if getattr(made, "name", "") == "potjans_diesmann":
        name = "cell_types"
    message = rf"^{name}\.gain must give weights with a finite norm; got 1e\+"
    with pytest.raises(InvalidValue, match=message):
        made.draw(N, 0, ports())
    with pytest.raises(InvalidValue, match=message):
        connectivity.shuffle(made).draw(N, 0, ports())


# Dense ------------------------------------------------------------------------------


def test_gaussian_is_the_draw_of_a_network():
    drawn = RecurrentNetwork(2, N, 2, mask=np.ones((N, N), bool), dtype="float64")
    drawn.initialise(5, gain=1.3)
    stream = np.random.default_rng(5).spawn(3)[1]
    made = connectivity.gaussian(1.3).draw(N, stream)
    assert np.array_equal(made.weights, drawn.params.w_rec)
    assert made.mask.all()


def test_orthogonal_matrices_keep_lengths():
    w = weights("orthogonal(1.5)")
    np.testing.assert_allclose(w.T @ w, 1.5**2 * np.eye(N), atol=1e-12)


def test_orthogonal_matrices_have_the_traces_of_haar_measure():
    """For Haar measure tr Q has variance 1; a bare QR has columns of one sign."""
    traces = [np.trace(weights("orthogonal()", seed, 6)) for seed in range(300)]
    assert abs(np.mean(traces)) < 0.2
    assert np.var(traces) == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("rank", [1, 7, N])
def test_low_rank_is_the_recipe_of_the_paper(rank):
    full = weights("gaussian(1.5)")
    u, s, vt = np.linalg.svd(full)
    cut = u[:, :rank] @ np.diag(s[:rank]) @ vt[:rank]
    expected = cut * np.linalg.norm(full) / np.linalg.norm(cut)
    got = weights(f"low_rank({rank}, 1.5)")
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert np.linalg.matrix_rank(got) == rank
    assert np.linalg.norm(got) == pytest.approx(np.linalg.norm(full))


def test_a_rank_above_n():
    message = r"^low_rank\.rank must be at most n = 60, the number of neurons; got 61"
    with pytest.raises(InvalidValue, match=message):
        connectivity.low_rank(N + 1).draw(N)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_aligned_takes_inputs_to_their_targets(rank):
    """What the readout sees of an input after a step is what the teacher asks for."""
    here = ports(400)
    teacher = np.diag([3.0, 2.0, 1.0]) @ np.eye(3, 4)
    here = dataclasses.replace(here, teacher=teacher)
    made = connectivity.aligned_low_rank(rank, 1.5).draw(400, 0, here)
    control = connectivity.low_rank(rank, 1.5).draw(400, 0)
    norm = np.linalg.norm(control.weights)
    assert np.linalg.norm(made.weights) == pytest.approx(norm)
    assert np.linalg.matrix_rank(made.weights) == rank
    wanted = np.where(np.arange(3)[:, None] < rank, teacher, 0.0)
    seen = here.w_out @ made.weights @ here.w_in
    assert cosine(seen, wanted) > 0.95
    assert abs(cosine(here.w_out @ control.weights @ here.w_in, wanted)) < 0.5


def test_aligned_needs_its_ports():
    family = connectivity.aligned_low_rank(1)
    with pytest.raises(InvalidValue, match=r"^aligned_low_rank\.ports must be given"):
        family.draw(N)
    with pytest.raises(InvalidValue, match=r"must be at most 3, the rank of the map"):
        connectivity.aligned_low_rank(4).draw(N, 0, ports())
    with pytest.raises(InvalidValue, match=r"^Ports\.w_in must have shape \(50, 4\)"):
        family.draw(50, 0, ports())
    wrong = dataclasses.replace(ports(), teacher=np.ones((2, 4)))
    with pytest.raises(InvalidValue, match=r"^Ports\.teacher must have shape \(3, 4\)"):
        family.draw(N, 0, wrong)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_lognormal_strengths(sigma):
    w = weights(f"lognormal({sigma}, 1.5)", n=300)
    logs = np.log(np.abs(w))
    assert logs.std() == pytest.approx(sigma, rel=0.02)
    assert np.mean(w**2) * 300 == pytest.approx(1.5**2, rel=0.1)
    assert abs(np.mean(np.sign(w))) < 0.02
    excess = np.mean((logs - logs.mean()) ** 4) / logs.var() ** 2 - 3
    assert abs(excess) < 0.1, "the logarithm is normal"


# Graphs, Dale's law -----------------------------------------------------------------


@pytest.mark.parametrize("density", [0.1, 1.0])
def test_erdos_renyi(density):
    made = connectivity.erdos_renyi(density, 1.5).draw(300, 0)
    assert not made.mask.diagonal().any()
    off = ~np.eye(300, dtype=bool)
    assert made.mask[off].mean() == pytest.approx(density, abs=0.005)
    assert np.linalg.norm(made.weights) == pytest.approx(1.5 * 300**0.5, rel=0.03)
    if density == 1:
        full = connectivity.gaussian(1.5).draw(300, 0).weights
        assert np.array_equal(made.weights, np.where(off, full, 0.0))


@pytest.mark.parametrize("base", ["gaussian(1.5)", "erdos_renyi(0.3)"])
@pytest.mark.parametrize("balanced", [True, False])
def test_dale(base, balanced):
    made = parse(f"dale(0.75, {balanced}, {base})").draw(N, 2)
    free = parse(base).draw(N, 2)
    assert made.signs.tolist() == [1] * 45 + [-1] * 15
    assert made.cell_types.tolist() == [0] * 45 + [1] * 15
    assert made.type_names == ("excitatory", "inhibitory")
    assert np.array_equal(np.sign(made.weights), made.signs * free.mask)
    assert np.linalg.norm(made.weights) == pytest.approx(np.linalg.norm(free.weights))
    surplus = made.weights.sum() / np.abs(made.weights).sum()
    assert (abs(surplus) < 1e-12) == balanced
    if not balanced:
        assert np.array_equal(np.abs(made.weights), np.abs(free.weights))


def test_dale_once_only():
    with pytest.raises(InvalidValue, match=r"^dale\.base must be a family without sig"):
        parse("dale(base=dale())").draw(N)


# Composition ------------------------------------------------------------------------


def test_masks_leave_the_rest_as_it_was():
    base = connectivity.low_rank(3).draw(N, 1)
    made = parse("masked(low_rank(3), erdos_renyi(0.2))").draw(N, 1)
    assert 0.15 < made.mask.mean() < 0.25
    assert np.array_equal(made.weights, np.where(made.mask, base.weights, 0.0))
    given = np.random.default_rng(0).random((N, N)) < 0.5
    by_array = connectivity.low_rank(3).masked(given).draw(N, 1)
    assert np.array_equal(by_array.mask, given)
    assert np.array_equal(by_array.weights, np.where(given, base.weights, 0.0))


@pytest.mark.parametrize("bad", [np.ones((3, 3)), np.ones((2, 3), bool), np.bool_(1)])
def test_masks_that_are_none(bad):
    with pytest.raises(InvalidValue, match=r"^masked\.by must be a square array of bo"):
        connectivity.gaussian().masked(bad)


def test_a_mask_for_another_number_of_neurons():
    family = connectivity.gaussian().masked(np.ones((3, 3), bool))
    with pytest.raises(InvalidValue, match=r"^masked\.by must have the shape \(60, 60"):
        family.draw(N)


def test_delays():
    made = connectivity.gaussian().delayed(2, 4).draw(N, 1)
    assert set(np.unique(made.delay)) == {2, 3, 4}
    assert np.array_equal(made.weights, weights("gaussian()", 1))
    network = RecurrentNetwork(1, N, 1, **made.structure())
    assert np.array_equal(network.delay, made.delay)
