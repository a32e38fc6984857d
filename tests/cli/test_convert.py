"""`spikelearn convert`: from runs, descriptions and graphs, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from hardware import _storage
from hardware.description import NetworkDescription
from hardware.importing.nir import read_nir
from spikelearn.cli import app
from spikelearn.errors import FileAccessError, FileFormatError, SpikelearnError
from spikelearn.runs import load_run
from tests.hardware.networks import random_network
from tests.report.runs import small_run

pytest.importorskip("nir")
pytestmark = pytest.mark.nir

FOREIGN = Path(__file__).parents[1] / "hardware" / "foreign"


def convert(*arguments):
    outcome = CliRunner().invoke(app, ["convert", *map(str, arguments)])
    if outcome.exception is not None and outcome.exit_code == 1:
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def answer(*arguments):
    return json.loads(convert(*arguments, "--json").splitlines()[-1])


def test_a_run_becomes_a_graph_and_the_graph_the_same_network(tmp_path):
    run = small_run(tmp_path / "run")
    told = answer(run.folder.path, tmp_path / "a.nir")
    network = load_run(run.folder.path).network
    assert told["kind"] == "float network" and told["n_rec"] == network.n_rec
    assert {"time step", "for learning"} <= {n["subject"] for n in told["notes"]}
    again = read_nir(tmp_path / "a.nir").network
    for name, array in network.params.arrays().items():
        assert np.array_equal(array, again.params.arrays()[name])
    assert "WARNING: reset 'subtract' lost" in convert(
        run.folder.path, tmp_path / "a.nir"
    )


def test_integers_go_all_round(tmp_path):
    source = random_network(0)
    source.save(tmp_path / "network.h5")
    convert(tmp_path, tmp_path / "a.nir")
    convert(tmp_path / "a.nir", tmp_path / "b.h5")
    convert(tmp_path / "b.h5", tmp_path / "b.json")
    assert NetworkDescription.load(tmp_path / "b.h5") == source
    assert (tmp_path / "b.json").read_text() == source.to_json()


def test_a_foreign_graph_is_read_as_its_program_means_it(tmp_path):
    target = tmp_path / "a.nir"
    told = answer(FOREIGN / "snntorch_rleaky.nir", target, "--from", "snntorch")
    assert told["dt"] == 0.1 and told["n_rec"] == 15
    subjects = {(n["kind"], n["subject"]) for n in told["notes"]}
    assert {("assumed", "reset"), ("changed", "layers")} <= subjects
    assert read_nir(target).network.cell.reset == "subtract"
    convert(target, tmp_path / "b.nir", "--no-metadata", "--dt", 0.1)
    assert read_nir(tmp_path / "b.nir").network.cell.reset == "zero"


@pytest.mark.parametrize(
    ("source", "target", "options", "message"),
    [
        ("snntorch_rleaky.nir", "a.h5", ("--from", "snntorch"), "made from integers"),
        ("snntorch_rleaky.nir", "a.nir", (), "dt must be > 0 ms"),
        ("snntorch_rleaky.nir", "a.nirr", (), "unknown suffix of the target '.nirr'"),
        ("snntorch_rleaky.json", "a.nir", (), "rleaky.json': JSON network descr"),
        ("make_nir.py", "a.nir", (), "must be a run folder or a file that can be read"),
        ("nothing.nir", "a.nir", (), "must exist"),
        ("nothing", "a.nir", (), "nothing' must exist; got no such file"),
        ("snntorch_rleaky.nir", "a.nir", ("--steps", "x"), "^--steps must be one of"),
        ("snntorch_rleaky.nir", "a.nir", ("--reset", "x"), "^--reset must be one of"),
        ("snntorch_rleaky.nir", "a.nir", ("--input-bits", 3), "got --input-bits"),
        ("snntorch_rleaky.nir", "a.nir", ("--no-strict",), "got --no-strict"),
    ],
)
def test_mistakes_write_nothing(source, target, options, message, tmp_path):
    with pytest.raises(SpikelearnError, match=message):
        convert(FOREIGN / source, tmp_path / target, *options)
    assert not list(tmp_path.iterdir())


def test_the_suffixes_of_a_source_are_those_that_are_read(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(SpikelearnError, match="suffix of the source") as told:
        convert(tmp_path / "a.txt", tmp_path / "a.nir")
    known = str(told.value).partition("Known: ")[2]
    assert ".nir" in known and ".json" in known
    assert ".py" not in known and ".h," not in known


def test_descriptions_as_json_are_read(tmp_path, monkeypatch):
    source = random_network(0)
    path, target = tmp_path / "a.json", tmp_path / "a.h5"
    path.write_text(source.to_json())
    convert(path, target)
    assert NetworkDescription.load(target) == source
    target.unlink()
    path.write_text(source.to_json()[:-1])
    with pytest.raises(FileFormatError, match=r"a\.json.*not valid JSON"):
        convert(path, target)
    monkeypatch.setattr(_storage, "MAX_JSON_BYTES", 10)
    with pytest.raises(FileFormatError, match=r"a\.json' must be at most 10 bytes"):
        convert(path, target)
    path.unlink()
    path.mkdir()
    monkeypatch.undo()
    with pytest.raises(FileAccessError):
        convert(path, target)
    with pytest.raises(FileAccessError, match="must be readable"):
        _storage.load_json(path)
    assert not target.exists()


def test_input_bits_go_through_netx_or_are_given(tmp_path):
    source = random_network(3, bias=False, input_bits=4)
    source.save(tmp_path / "a.h5")
    convert(tmp_path / "a.h5", tmp_path / "a.net")
    convert(tmp_path / "a.net", tmp_path / "b.h5")
    assert NetworkDescription.load(tmp_path / "b.h5").input_bits == 4
    with h5py.File(tmp_path / "a.net", "a") as file:
        del file["spikelearn"]
    told = answer(tmp_path / "a.net", tmp_path / "b.h5")
    assert NetworkDescription.load(tmp_path / "b.h5").input_bits == 0
    assumed = [n["text"] for n in told["notes"] if n["kind"] == "assumed"]
    assert any("input_bits was taken as 0" in text for text in assumed)
    told = answer(tmp_path / "a.net", tmp_path / "b.h5", "--input-bits", 4)
    assert NetworkDescription.load(tmp_path / "b.h5").input_bits == 4
    assert not any("input_bits" in n["text"] for n in told["notes"])


def test_options_that_no_format_uses_are_refused(tmp_path):
    random_network(3, bias=False).save(tmp_path / "a.h5")
    convert(tmp_path / "a.h5", tmp_path / "a.net")
    with pytest.raises(SpikelearnError, match="--input-bits; got --dt, --from"):
        convert(tmp_path / "a.net", tmp_path / "b.h5", "--dt", 5.0, "--from", "norse")
    assert not (tmp_path / "b.h5").exists()
    with pytest.raises(SpikelearnError, match="among: none; got --no-readout"):
        convert(tmp_path / "a.h5", tmp_path / "a.h", "--no-readout")


def test_the_answer_names_both_files(tmp_path):
    run = small_run(tmp_path / "run")
    random_network(0).save(tmp_path / "network.h5")
    for source, beside in ((run.folder.path, "a.npz"), (tmp_path, "a.json")):
        told = answer(source, tmp_path / "a.py")
        assert told["files"] == [str(tmp_path / "a.py"), str(tmp_path / beside)]
        assert all(Path(name).exists() for name in told["files"])
        text = "".join(convert(source, tmp_path / "a.py").split())
        assert f"{tmp_path / 'a.py'}and{tmp_path / beside}:" in text
    assert answer(tmp_path, tmp_path / "a.h")["files"] == [str(tmp_path / "a.h")]


def test_a_file_is_not_written_over_itself(tmp_path):
    random_network(0).save(tmp_path / "a.h5")
    with pytest.raises(SpikelearnError, match="another file than the source"):
        convert(tmp_path / "a.h5", tmp_path / "a.h5")


def test_a_run_becomes_a_brian2_script_with_a_test_sample(tmp_path):
    run = small_run(tmp_path / "run")
    convert(run.folder.path, tmp_path / "net.py")
    assert "brian2" in (tmp_path / "net.py").read_text()
    with np.load(tmp_path / "net.npz") as numbers:
        arrays = [numbers[name] for name in numbers.files]
    w_rec = run.network.params.w_rec
    values = set(w_rec[w_rec != 0].astype(float))
    assert any(values <= set(a.ravel()) for a in arrays if a.dtype.kind == "f")
    with pytest.raises(SpikelearnError, match="Brian2 script must be a run folder"):
        convert(
            FOREIGN / "snntorch_rleaky.nir", tmp_path / "b.py", "--from", "snntorch"
        )
    assert not (tmp_path / "b.py").exists()


def test_integers_become_netx_a_header_and_a_numpy_script(tmp_path):
    plain = {"bias": False, "exponents": (0, 0, 0)}
    source = random_network(3, **plain)
    source.save(tmp_path / "network.h5")
    for name in ("a.net", "a.h", "a.py"):
        convert(tmp_path / "network.h5", tmp_path / name)
    assert "network_step" in (tmp_path / "a.h").read_text()
    assert (tmp_path / "a.json").exists()
    told = answer(tmp_path / "a.net", tmp_path / "b.h5")
    again = NetworkDescription.load(tmp_path / "b.h5")
    for block in ("w_in", "w_rec", "w_out"):
        mine, theirs = getattr(source, block), getattr(again, block)
        assert np.array_equal(mine.weights, theirs.weights * 2.0**theirs.exponent)
    assert told["kind"] == "integers"


def test_what_netx_cannot_say_is_refused_or_told_loudly(tmp_path):
    source = random_network(4, adaptive=True, exponents=(1, 0, 1), bias=False)
    source.save(tmp_path / "network.h5")
    with pytest.raises(SpikelearnError, match=r"neurons\.beta must be 0 in netx"):
        convert(tmp_path / "network.h5", tmp_path / "a.net")
    assert not (tmp_path / "a.net").exists()
    told = answer(tmp_path / "network.h5", tmp_path / "a.net", "--no-strict")
    loud = [note["text"] for note in told["notes"] if note["loud"]]
    assert any("beta was left out" in text for text in loud)


def test_a_float_network_has_no_header(tmp_path):
    run = small_run(tmp_path / "run")
    with pytest.raises(SpikelearnError, match="must be made from integers"):
        convert(run.folder.path, tmp_path / "a.h")
