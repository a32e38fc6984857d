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
from spikelearn.studies.oja import oja_study
from spikelearn.studies.rich_lazy import initial_connectivity

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
    "init-gain": initial_gains,
    "rich-lazy": initial_connectivity,
    "generalization": rules_and_generalization,
    "oja": oja_study,
}
"""The studies by name: one file each, and one line here."""
