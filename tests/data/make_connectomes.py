"""Make the connectomes that spikelearn ships, from the packages that publish them.

    pip download --no-deps cect==0.3.5 flyvis==1.2.0
    python -m tests.data.make_connectomes cect-0.3.5-*.whl flyvis-1.2.0-*.whl [--check]

With --check nothing is written: the files that are there have to be what the packages
give.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "spikelearn" / "data" / "connectomes"
WORM = "cect/cache/Cook2019HermReader.json"
FLY = "flyvis/connectome/fib25-fib19_v2.2.json"
# McIntire et al. 1993, doi:10.1038/364337a0: the 26 cells that react with antisera
# against GABA.
GABA = [
    *(f"DD{k}" for k in range(1, 7)),
    *(f"VD{k}" for k in range(1, 14)),
    *("RMED", "RMEV", "RMEL", "RMER", "AVL", "DVB", "RIS"),
]


def worm_neurons(nodes: list[str]) -> list[str]:
    """Names of neurons among cells: not muscles, glia, glands and other tissue."""
    muscles = ("MDL", "MDR", "MVL", "MVR", "GLR", "CEPsh")
    others = {"bm", "hyp", "int", "hmc"}
    prefixes = ("pm", "mc", "mu_", "um", "vm", "exc_", "e2", "e3", "g1", "g2")
    return sorted(
        name
        for name in nodes
        if not name.startswith((*muscles, *prefixes)) and name not in others
    )


def celegans(wheel: zipfile.ZipFile) -> dict[str, Any]:
    """Counts between neurons of the hermaphrodite, (post, pre, count)."""
    data = json.loads(wheel.read(WORM))
    nodes, tables = data["nodes"], data["connections"]
    neurons = worm_neurons(nodes)
    at = [nodes.index(name) for name in neurons]

    def counts(table: str) -> Iterator[list[int]]:  # rows of the package are pre
        for post, i in enumerate(at):
            for pre, j in enumerate(at):
                count = tables[table][j][i]
                if count:
                    yield [post, pre, int(count)]

    gaps = [(i, j, c) for i, j, c in counts("Generic_GJ") if i <= j]
    return {
        "title": "Neurons of the hermaphrodite C. elegans",
        "source": "Cook et al. 2019, doi:10.1038/s41586-019-1352-7, from cect 0.3.5",
        "licence": "MIT (OpenWorm), see LICENSES.txt",
        "nodes": neurons,
        "inhibitory": sorted(GABA),
        "synapses": list(counts("Generic_CS")),
        "gap_junctions": [list(each) for each in gaps],
    }


def optic_lobe(wheel: zipfile.ZipFile) -> dict[str, Any]:
    """Synapses onto one cell from all cells of a type, with signs."""
    data = json.loads(wheel.read(FLY))
    types = [node["name"] for node in data["nodes"]]
    synapses = []
    for edge in data["edges"]:
        count = sum(n for _, n in edge["offsets"])
        post, pre = types.index(edge["tar"]), types.index(edge["src"])
        synapses.append([post, pre, round(edge["alpha"] * count, 4)])
    return {
        "title": "Cell types of the optic lobe of Drosophila",
        "source": "Lappalainen et al. 2024, doi:10.1038/s41586-024-07939-3, from "
        "flyvis 1.2.0; reconstructed by Takemura et al. 2015, "
        "doi:10.1073/pnas.1509820112, and Shinomiya et al. 2019, "
        "doi:10.7554/eLife.40025",
        "licence": "MIT (flyvis), see LICENSES.txt",
        "nodes": types,
        "synapses": sorted(synapses),
    }


def packed(values: dict[str, Any]) -> str:
    """JSON with a line per key."""
    lines = [
        f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
        for key, value in values.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cect", type=Path)
    parser.add_argument("flyvis", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    with zipfile.ZipFile(given.cect) as worm, zipfile.ZipFile(given.flyvis) as fly:
        made = {"celegans": celegans(worm), "optic_lobe": optic_lobe(fly)}
    for name, values in made.items():
        path, text = FOLDER / f"{name}.json", packed(values)
        if given.check and path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.name} is not what the packages give")
        if not given.check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {len(text)} bytes, {len(values['nodes'])} nodes")


if __name__ == "__main__":
    main()
