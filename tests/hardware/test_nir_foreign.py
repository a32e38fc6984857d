"""NIR files that snnTorch, Norse, Sinabs and Spyx wrote, and the spikes that they gave.

`foreign/make_nir.py` made the files, in an environment of its own; its documentation
names the versions. With SPIKELEARN_FOREIGN_PYTHON set to the Python of such an
environment, they are made anew and must be read the same way.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hardware.importing.nir import DIALECTS, read_nir
from spikelearn.errors import FileFormatError, InvalidValue

FOLDER = Path(__file__).with_name("foreign")
NAMES = sorted(path.stem for path in FOLDER.glob("*.nir"))
PYTHON = os.environ.get("SPIKELEARN_FOREIGN_PYTHON")
LATE = {"snntorch_rleaky": {"3": 1}, "spyx_rlif": {"layer_1.layer_1.lif": -1}}
"""Steps by which our spikes come later than those of the library."""


def program(name):
    return name.partition("_")[0]


def compare(folder, name, **options):
    """Return spikes that differ, spikes, and the largest error of the output."""
    content = json.loads((folder / f"{name}.json").read_text())
    found = read_nir(folder / f"{name}.nir", dialect=program(name), **options)
    x = np.array(content["x"])[:, None]
    record = found.network.run(x)
    differing, total, error = 0, 0, 0.0
    for place, rows in content["found"].items():
        theirs = np.array(rows)
        if place == "output":
            error = np.abs(record.y[:, 0] - theirs).max()
            continue
        ours = record.spikes[:, 0, found.populations[place]]
        late = LATE.get(name, {}).get(place, 0)
        if late < 0:
            ours, theirs = theirs[-late:], ours[:late]
        else:
            ours, theirs = ours[late:], theirs[: len(theirs) - late]
        differing += int((ours != theirs).sum())
        total += int(theirs.sum())
    return differing, total, error


def test_there_are_files_of_each_program():
    assert {program(name) for name in NAMES} == DIALECTS.keys() - {"nir"}


@pytest.mark.golden
@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_file_gives_the_spikes_of_its_program(name):
    differing, total, error = compare(FOLDER, name)
    assert total > 30
    assert differing == 0
    assert error < 1e-12


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("snntorch_rleaky", {"reset": "zero"}),
        ("snntorch_rsynaptic", {"dt": 0.05}),
        ("norse_recurrent", {"reset": "subtract"}),
        ("norse_cuba", {"discretisation": "exponential"}),
        ("sinabs_iaf", {"reset": "zero"}),
        ("spyx_rlif", {"reset": "zero"}),
    ],
)
def test_another_meaning_gives_other_spikes(name, change):
    differing, _, _ = compare(FOLDER, name, **change)
    assert differing > 0


def test_what_a_dialect_assumes_is_told():
    found = read_nir(FOLDER / "snntorch_rleaky.nir", dialect="snntorch")
    texts = {note.subject: note.text for note in found.notes}
    assert "0.1 ms" in texts["time step"]
    assert "subtracted one step after" in texts["reset"]
    assert "1.lif 0, 3 1" in texts["layers"]
    spyx = read_nir(FOLDER / "spyx_rlif.nir", dialect="spyx")
    assert any(note.loud for note in spyx.notes)


def test_the_equations_of_nir_alone_need_a_time_step():
    for name in NAMES:
        with pytest.raises(InvalidValue, match="dt must be > 0 ms; got none"):
            read_nir(FOLDER / f"{name}.nir")


def test_norse_writes_time_constants_that_no_step_of_1_ms_can_take():
    with pytest.raises(FileFormatError, match="Norse writes tau x dt"):
        read_nir(FOLDER / "norse_recurrent.nir", dt=1.0)


@pytest.mark.skipif(PYTHON is None, reason="SPIKELEARN_FOREIGN_PYTHON is not set")
@pytest.mark.parametrize("name", NAMES)
def test_files_made_anew_are_read_the_same_way(name, tmp_path):
    script = FOLDER / "make_nir.py"
    command = [PYTHON, str(script), str(tmp_path), name]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    again = (tmp_path / f"{name}.json").read_text()
    assert json.loads(again) == json.loads((FOLDER / f"{name}.json").read_text())
    assert compare(tmp_path, name) == compare(FOLDER, name)
