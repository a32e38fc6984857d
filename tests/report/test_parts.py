"""Parts of the report by themselves: numbers, marks, commands, verdicts."""

from __future__ import annotations

import shlex

import numpy as np
import pytest

from hardware.description import LAVA_ADAPTIVE, LAVA_LIF
from hardware.quantization import quantise
from spikelearn.errors import InvalidValue
from spikelearn.report.charts import RASTER_LIMIT, draw_events, mask_windows, render
from spikelearn.report.details import commands, hardware_section
from spikelearn.report.figures import running_mean
from spikelearn.report.html import Markup, integer, percent, significant, tag
from spikelearn.report.machines import machines_chart
from spikelearn.report.summary import accuracy_interval, lava_card
from spikelearn.runs import resolve_config
from tests.report.runs import comparison, small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    changes = ("cell=ALIF", "optimizer.name=sgd", "lr=0.001", "task.shift=1")
    lists = ('learning.trainable=["w_in", "w_rec"]', "network.density=0.5", "seed=7")
    path = tmp_path_factory.mktemp("runs") / "my run"
    return small_run(path, "digits-rows", *changes, *lists)


def test_the_training_command_gives_the_configuration(run):
    machines = comparison(run)
    first, *others = commands(run, machines)
    words = shlex.split(first)
    assert words[:4] == ["spikelearn", "train", "--task", "digits-rows"]
    assert words[4:8] == ["--seed", "7", "--out", "my run"]
    overrides = ["task.name=digits-rows", "training.seed=7", *words[8:]]
    assert resolve_config({}, overrides) == run.config
    verbs = [shlex.split(line)[1] for line in others]
    assert verbs == ["evaluate", "export", "verify", "report"]
    assert others[1].endswith(f"--bits {machines.bits}")
    assert others[2].endswith(f"--samples {machines.verification['samples']}")


def test_wilson_interval():
    z2 = 1.959964**2
    low, high = accuracy_interval(0.0, 30)
    assert low == 0.0
    assert high == pytest.approx(z2 / (30 + z2), rel=1e-6)
    assert accuracy_interval(1.0, 30) == pytest.approx((1 - high, 1.0))
    assert accuracy_interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)


def test_the_verdict_changes_when_one_value_differs(run):
    good, bad = (lava_card(comparison(run, differing=k)) for k in (0, 1))
    assert "bit for bit equal" in good
    assert "not equal" not in good
    assert "not equal" in bad
    assert "1 of " in bad
    assert "not run" in lava_card(comparison(run, lava=False))


def test_the_verdict_says_whose_neurons_ran(run):
    for process in (LAVA_LIF, LAVA_ADAPTIVE):
        verification = comparison(run).verification | {"neuron_process": process}
        shown = lava_card(comparison(run, verification=verification))
        assert f"neurons: {process};" in shown


def test_adaptation_counts_where_there_is_one(run):
    steps = 50 * 8
    with_adaptation = comparison(run).lava_counts()
    without = comparison(run, adaptation=False).lava_counts()
    assert with_adaptation == (0, steps * (4 * 12 + 10))
    assert without == (0, steps * (3 * 12 + 10))


def test_shapes_of_a_comparison_must_fit(run):
    y = np.zeros((8, 3))
    with pytest.raises(InvalidValue, match=r"y_emulator must have shape \(8, 10\)"):
        comparison(run, y_emulator=y)
    with pytest.raises(InvalidValue, match=r"spikes_float must have shape \(8, n\)"):
        comparison(run, spikes_float=np.zeros((7, 12), np.uint8))


def test_the_report_of_the_quantiser_can_be_shown(run):
    calibration = run.task.train_batch(0, 8, 0).x
    _, report = quantise(
        run.network, calibration, input_bits=run.task.input_bits, strict=False
    )
    made = comparison(run, quantization=report.to_dict())
    chart = machines_chart(made, np.ones(8), 1.0)
    shown = hardware_section(run, made, chart)
    for block in report.blocks:
        assert f'<data value="{block.relative_error!r}">' in shown
    assert f'<data value="{report.tau_m[1]!r}">' in shown
    for error in (report.beta_error, report.bias_error, report.b_out_error):
        assert f'<data value="{error!r}">' in shown


def test_readout_currents_that_wrapped_are_events_and_not_spikes(run):
    report = comparison(run).quantization | {"y_wraps": 12_345}
    made = comparison(run, quantization=report)
    shown = hardware_section(run, made, machines_chart(made, np.ones(8), 1.0))
    events = shown.partition(">event<")[2].partition("</table>")[0]
    row = events.partition("readout currents that wrapped")[2].partition("</tr>")[0]
    assert ">12\u202f345<" in row
    assert "readouts that saturated" in events and "spikes of" not in events


def test_a_time_constant_that_does_not_decay_is_shown_as_infinite(run):
    report = comparison(run).quantization | {"tau_a": [20_000.0, None]}
    made = comparison(run, quantization=report)
    shown = hardware_section(run, made, machines_chart(made, np.ones(8), 1.0))
    row = shown.partition(">tau_a<")[2].partition("</tr>")[0]
    assert 'value="20000.0"' in row
    assert "infinite" in row and "no decay at all" in row
    made = comparison(run, adaptation=False)
    without = hardware_section(run, made, machines_chart(made, np.ones(8), 1.0))
    assert "adaptation beta" in shown and "adaptation beta" not in without


def test_markup_from_integers_is_escaped(run):
    report = comparison(run).quantization
    block = report["blocks"][0] | {"name": "<script>", "sign": "<b>"}
    verification = comparison(run).verification | {"first": {"<i>": "<u>"}}
    made = comparison(
        run, quantization=report | {"blocks": [block]}, verification=verification
    )
    shown = hardware_section(run, made, machines_chart(made, np.ones(8), 1.0))
    for element in ("<script>", "<b>", "<i>", "<u>"):
        assert element not in shown
    assert "&lt;script&gt;" in shown


def test_many_marks_become_pixels_and_few_stay_vectors():
    def raster(n_steps):
        spikes = np.ones((n_steps, 100), np.uint8)
        return render(
            "raster",
            (4, 2),
            "a raster",
            lambda figure: draw_events(figure.subplots(), spikes, 1.0),
        )

    limit = RASTER_LIMIT // 100
    assert "data:image/png;base64," in raster(limit + 1)
    assert "data:image/png" not in raster(limit)


def test_drawings_are_reproducible():
    def draw(figure):
        figure.subplots().plot([1.0, 2.0], "o")

    assert render("a", (3, 2), "text", draw) == render("a", (3, 2), "text", draw)


def test_mask_windows():
    mask = np.array([0, 1, 1, 0, 0, 1], np.float32)
    assert mask_windows(mask, 2.0) == [(1.0, 5.0), (9.0, 11.0)]
    assert mask_windows(np.zeros(4), 1.0) == []


def test_running_mean_equals_a_loop():
    values = np.random.default_rng(0).normal(size=23)
    for window in (1, 4, 50):
        expected = [values[max(0, k - window + 1) : k + 1].mean() for k in range(23)]
        np.testing.assert_allclose(running_mean(values, window), expected, rtol=1e-9)


def test_numbers_are_shown_for_people_and_for_programs():
    assert integer(1234567) == "1\u202f234\u202f567"
    assert percent(0.80333) == '<data value="0.80333">80.33\u202f%</data>'
    assert significant(0.559) == '<data value="0.559">0.5590</data>'
    assert significant(1234.0) == '<data value="1234.0">1234</data>'
    assert "not known" in percent(None)
    assert "not known" in significant(float("nan"))


def test_tag_escapes_text_and_attributes_but_not_markup():
    assert tag("p", "<a>&") == "<p>&lt;a&gt;&amp;</p>"
    assert tag("p", Markup("<b>x</b>")) == "<p><b>x</b></p>"
    assert tag("p", class_='"x"') == '<p class="&quot;x&quot;"></p>'
