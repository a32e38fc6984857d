from __future__ import annotations

import pytest

from spikelearn.studies import run_study
from tests.studies.helpers import threads
from tests.studies.toy import make_toy


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """Return the folder of the toy study, run through without interruption."""
    folder = tmp_path_factory.mktemp("studies") / "whole"
    assert run_study(make_toy(), folder, threads()).units_failed == 0
    return folder
