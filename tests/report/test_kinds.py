"""Pages of runs with rate units, a class per step, rewards and other structure."""

from __future__ import annotations

import csv
import re
import shlex
import shutil

import numpy as np
import pytest

from hardware.quantization import quantise
from spikelearn.cli._common import evaluation_line
from spikelearn.errors import HardwareError
from spikelearn.learning.evaluation import Evaluation
from spikelearn.report import write_report
from spikelearn.report.details import commands
from spikelearn.report.material import integer_obstacles
from spikelearn.runs import load_run, resolve_config
from tests.report.runs import Page, comparison, small_run

RUNS = {
    "rate": ("dms", "task.sigma=0.1"),
    "tanh": ("dms", "activation=tanh", "placement=outside"),
    "lif": ("dms", "cell=LIF", "tau_m=200"),
    "reward": ("cue-bandit", "task.delay_ms=50"),
    "dale": ("delayed-xor-cues", "iterations=2", "excitatory_fraction=0.75"),
    "layers": ("dms", "layers=[8,4]", "recurrent=[true,false]"),
    "forward": ("dms", "recurrent=false"),
    "delays": ("digits-rows", "delay=1", "longest_delay=3"),
    "spiking": ("digits-rows", "density=0.5", "update_every=2"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Make a run and its page by name, each once."""
    found = {}

    def get(name):
        if name not in found:
            run = small_run(tmp_path_factory.mktemp("runs") / name, *RUNS[name])
            found[name] = (run, Page(write_report(run, sample=2)))
        return found[name]

    return get


def rows(run, name, part=None):
    path = run.folder.path / "figures" / f"{name}.csv"
    with open(path, encoding="utf-8", newline="") as file:
        return [r for r in csv.DictReader(file) if part in (None, r.get("part"))]


def everything(page):
    """Text, with what stands in for the pictures."""
    return page.text + " ".join(a["aria-label"] for a in page.all("svg"))


def sample_of(run, index=2):
    batch = next(iter(run.task.evaluation("test", index + 1, index + 1)))
    return batch, run.network.run(batch.x)


@pytest.mark.parametrize("name", RUNS)
def test_no_page_shows_what_is_not_a_number(made, name):
    _, page = made(name)
    assert not re.search(r"\bnan\b|\binf\b", everything(page), re.IGNORECASE)
    assert "not known" not in page.text


@pytest.mark.parametrize("name", ["rate", "tanh", "dale", "layers"])
def test_rate_units_have_outputs_and_neither_spikes_nor_hz(made, name):
    run, page = made(name)
    shown = everything(page).partition("How it was made")[0]
    for word in ("Hz", "neurons", "interspike", "silent", " spikes of"):
        assert word not in shown
    assert f"output of the {run.network.n_rec} rate units" in page.text
    assert "mean output (no unit)" in page.text
    _, record = sample_of(run)
    output = [float(r["value"]) for r in rows(run, "sample", "output")]
    np.testing.assert_allclose(output, record.output[:, 2].ravel(), rtol=1e-6)
    assert rows(run, "sample", "spike") == []


def test_the_activity_of_rate_units_is_that_of_their_output(made):
    run, page = made("rate")
    batch = next(iter(run.task.evaluation("test", 200, 200)))
    output = run.network.run(batch.x).output
    written = rows(run, "rates")
    for column, values in (
        ("trained_mean", output.mean(axis=(0, 1))),
        ("trained_sd", output.std(axis=(0, 1))),
    ):
        got = [float(r[column]) for r in written]
        np.testing.assert_allclose(got, values, rtol=1e-4, atol=1e-7)
    dead = int((output == 0).all(axis=(0, 1)).sum())
    assert f"{dead} of 12 units is always 0" in page.text


def test_outputs_below_0_are_said_to_be(made):
    assert "vermilion below 0 (" in made("tanh")[1].text
    assert "blue above 0 (0 to" in made("rate")[1].text


@pytest.mark.parametrize("name", ["rate", "lif", "layers"])
def test_a_class_per_step_is_judged_by_steps(made, name):
    run, page = made(name)
    batch, record = sample_of(run)
    answers, target = record.y[:, 2].argmax(axis=1), batch.target[:, 2]
    mask = batch.mask if batch.mask.ndim == 1 else batch.mask[:, 2]
    on = mask != 0
    right = int((answers == target)[on].sum())
    assert f"Test sample 2: {right} of {on.sum()} judged steps right." in page.text
    labels = [int(r["value"]) for r in rows(run, "sample", "label")]
    assert labels == target.tolist()
    written = {int(r["step"]): int(r["value"]) for r in rows(run, "sample", "answer")}
    assert written == {int(t): int(answers[t]) for t in np.flatnonzero(on)}
    assert "of the judged steps right, on" in page.text
    assert "samples right" not in page.text
    assert "interval:" not in page.text
    assert run.folder.result()["test"]["accuracy"] in page.values()


def test_a_reward_is_shown_as_a_reward(made):
    run, page = made("reward")
    batch, record = sample_of(run)
    y = record.y[:, 2, :-1].astype(np.float64)
    action = int(y[batch.mask != 0].sum(axis=0).argmax())
    reward = batch.target[2, action]
    text = f"Test sample 2: action {action} chosen, reward {reward:.3g}"
    assert text in page.text
    loss = run.folder.result()["test"]["loss"]
    assert -loss in page.values()
    assert loss not in page.values()
    assert "Mean reward" in page.text
    assert "Test loss" not in page.text
    for label in (f"action {action} (chosen)", f"action {1 - action}", "critic"):
        assert label in page.text
    written = [float(r["value"]) for r in rows(run, "sample", "reward")]
    np.testing.assert_allclose(written, batch.target[2], rtol=1e-6)
    assert [int(r["value"]) for r in rows(run, "sample", "action")] == [action]
    assert "The loss is minus the mean reward" in page.text
    for row in rows(run, "learning"):
        assert float(row["mean_reward"]) == -float(row["loss"])


def test_a_reward_as_integers_and_so_far(made, tmp_path):
    run, _ = made("reward")
    shutil.copytree(run.folder.path, tmp_path / "copy")
    (tmp_path / "copy" / "result.json").unlink()
    copy = load_run(tmp_path / "copy")
    page = Page(write_report(copy, hardware=comparison(copy, loss_fixed=-0.75)))
    assert "Validation mean reward so far" in page.text
    assert "mean reward on 40 test samples; float -1.25" in page.text
    assert "-1.250 as floats, 0.7500 as integers" in page.text
    assert 0.75 in page.values()


def test_the_head_says_what_the_network_is_made_of(made):
    for name, words in {
        "rate": "12 rate units (relu inside the leak), 3 inputs",
        "tanh": "12 rate units (tanh outside the leak), 3 inputs",
        "lif": "12 LIF neurons, 3 inputs",
        "dale": "75 % excitatory and the rest inhibitory (Dale's law), 2 inputs",
        "layers": "in layers of 8 (recurrent) and 4 (feed-forward), 3 inputs",
        "forward": "without recurrent connections, 3 inputs",
        "delays": "recurrent delays of 1 to 3 steps, 8 inputs",
        "spiking": "recurrent density 0.5, 8 inputs",
    }.items():
        assert words in made(name)[1].text, name
    page = made("spiking")[1]
    assert "e-prop, weights updated every 2 steps, with symmetric" in page.text
    masks = made("layers")[0].network.masks
    n_weights = sum(int(mask.sum()) for mask in masks.values())
    assert f"{n_weights + 12 + 3} parameters" in made("layers")[1].text
    weights = rows(made("layers")[0], "weights")
    for name, mask in masks.items():
        counted = sum(int(r["trained_count"]) for r in weights if r["block"] == name)
        assert counted == mask.sum()


def test_the_circle_is_drawn_where_its_law_holds(made):
    for name, reason in (
        ("dale", "signs by Dale's law"),
        ("layers", "a stack of layers"),
        ("forward", "a matrix without connections"),
    ):
        shown = everything(made(name)[1])
        assert f"No circle: the law of a random matrix does not hold for {reason}" in (
            shown
        )
        assert "with a circle of radius" not in shown
    for name in ("rate", "spiking", "delays"):
        shown = everything(made(name)[1])
        assert "with a circle of radius" in shown
        assert "No circle" not in shown
    assert "leak and activation are not in it" in made("rate")[1].text
    assert "leak, thresholds, resets and delays are not" in made("delays")[1].text
    assert "leak, thresholds and resets are not" in made("spiking")[1].text


@pytest.mark.parametrize("name", RUNS)
def test_integers_are_offered_where_the_quantiser_takes_the_network(made, name):
    run, page = made(name)
    x = run.task.train_batch(0, 8, 0).x
    try:
        quantise(run.network, x, input_bits=run.task.input_bits, strict=False)
        refused = False
    except HardwareError:
        refused = True
    assert bool(integer_obstacles(run)) == refused
    assert ("spikelearn export" in page.text) != refused
    assert ("This network has no form as integers: " in page.text) == refused
    for obstacle in integer_obstacles(run):
        assert obstacle in page.text


def test_options_of_the_rule_are_shown_and_come_back(tmp_path):
    options = ("rule=modprop", "learning.options.mu=0.3", "excitatory_fraction=0.5")
    run = small_run(tmp_path / "run", "dms", *options)
    page = Page(write_report(run))
    assert "Learning rule modprop (mu 0.3) with" in page.text
    first, *_ = commands(run, None)
    words = shlex.split(first)
    assert "learning.options.mu=0.3" in words
    assert resolve_config({}, ["task.name=dms", *words[8:]]) == run.config


def test_scores_in_words_on_the_command_line():
    scores = Evaluation("test", 512, -0.8912, None, 34.4)
    assert evaluation_line(scores, "reward") == (
        "test: mean reward 0.8912 (512 samples, 34.4 Hz)"
    )
    scores = Evaluation("test", 512, 0.25, 0.5, None)
    assert evaluation_line(scores, "classification") == (
        "test: loss 0.25, accuracy 50.00% (512 samples)"
    )
