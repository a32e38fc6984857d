"""Studies: grids of units that can be killed and continued, and claims about them.

A study is one file with a factory, which returns a `Study`, and a line in `STUDIES`.
"""

from spikelearn.studies.base import Claim, Row, Study, StudyFactory, Unit, grid
from spikelearn.studies.engine import (
    StudyResult,
    StudyStatus,
    collect,
    run_study,
    status,
)
from spikelearn.studies.executors import dask, processes
from spikelearn.studies.generalization import rules_and_generalization
from spikelearn.studies.init_gain import initial_gains

__all__ = [
    "STUDIES",
    "Claim",
    "Row",
    "Study",
    "StudyFactory",
    "StudyResult",
    "StudyStatus",
    "Unit",
    "collect",
    "dask",
    "grid",
    "processes",
    "run_study",
    "status",
]

STUDIES: dict[str, StudyFactory] = {
    "generalization": rules_and_generalization,
    "init-gain": initial_gains,
}
"""The studies by name: one file each, and one line here."""
