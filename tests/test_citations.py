"""BibTeX entries: complete, well formed, and there for everything that has a source."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spikelearn as sl
from spikelearn.citations import ENTRIES, REFERENCE, cite, references_in
from spikelearn.errors import InvalidValue, UnknownName
from spikelearn.learning.oja import PLASTICITY_TERMS

ROOT = Path(__file__).parents[1]
THINGS = {**sl.RULES, **PLASTICITY_TERMS, **sl.TASKS}


def parsed(text):
    """Return the entries of BibTeX as [(kind, key, fields)], checking the braces."""
    assert text.count("{") == text.count("}")
    entries = re.findall(r"^@(\w+)\{([\w-]+),\n(.*?)^\}$", text, re.M | re.S)
    found = []
    for kind, key, body in entries:
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, re.M))
        assert len(fields) == body.count("\n"), "a field has its own line"
        found.append((kind, key, fields))
    return found


@pytest.mark.parametrize("name", [*sl.RULES, *PLASTICITY_TERMS])
def test_rules_and_terms_can_be_cited(name):
    reference = THINGS[name].info.reference
    entries = parsed(cite(name))
    assert entries
    assert len(entries) == len(list(REFERENCE.finditer(reference)))
    for _, _, fields in entries:
        surname = fields["author"].split(",")[0]
        assert surname in reference and fields["year"] in reference
        assert "doi" in fields or "Krogh" in fields["author"]


@pytest.mark.parametrize("package", ["tasks", "connectivity"])
def test_every_source_that_is_named_has_an_entry(package):
    named = 0
    for path in (ROOT / "spikelearn" / package).glob("*.py"):
        text = path.read_text(encoding="utf-8")
        sources = {match.group() for match in REFERENCE.finditer(text)}

        class Page:
            __doc__ = text

        assert len(references_in(Page)) == len(sources), path.name
        named += len(sources)
    assert named >= 5


def test_every_entry_is_complete_and_keys_are_distinct():
    keys = set()
    for source, (kind, author, title, year, fields) in ENTRIES.items():
        assert author and title and 1900 < year < 2100, source
        if kind == "article":
            assert "journal" in fields, source
        if kind == "inproceedings":
            assert "booktitle" in fields, source

        class Paper:
            __doc__ = source if not source.startswith("10.") else f"doi:{source}"

        ((_, key, _),) = parsed(cite(Paper))
        assert re.fullmatch(r"[a-z]+\d{4}[a-z]+", key)
        keys.add(key)
    assert len(keys) == len(ENTRIES)


def test_names_objects_and_classes_are_the_same():
    expected = cite("mdgl")
    assert cite(sl.MDGL) == cite(sl.MDGL("online")) == cite(sl.RULES["mdgl"])
    assert expected == cite(sl.MDGL)
    assert "10.1073/pnas.2111821118" in expected


def test_an_entry_comes_once_and_in_order():
    keys = [key for _, key, _ in parsed(cite("oja", "e-prop", sl.EProp(), "mdgl"))]
    assert len(keys) == len(set(keys)) == 5
    assert keys[0] == "oja1982simplified"
    assert keys[3:] == ["bellec2020solution", "liu2021cell"]


def test_flossing_and_homeostasis_can_be_cited():
    dois = {fields["doi"] for _, _, fields in parsed(cite("flossing", "intrinsic"))}
    assert dois == {
        "10.48550/arXiv.2312.17306",
        "10.48550/arXiv.2410.11164",
        "10.1038/9165",
    }


def test_families_of_connectivity_can_be_cited():
    worm = sl.connectivity.parse("connectome('celegans')")
    keys = {key for _, key, _ in parsed(cite(worm, "motifs", "low_rank"))}
    assert {"cook2019whole", "zhao2011synchronization", "liu2024connectivity"} <= keys


def test_docstrings_are_read_where_there_is_no_info():
    dois = {fields["doi"] for _, _, fields in parsed(cite(sl.Feedback()))}
    assert "10.3389/fnins.2021.629892" in dois and "10.48550/arXiv.1904.05391" in dois
    dois = {fields["doi"] for _, _, fields in parsed(cite(sl.regime))}
    assert dois == {"10.48550/arXiv.2310.08513", "10.48550/arXiv.1905.00414"}


def test_spikelearn_agrees_with_the_citation_file():
    ((kind, key, fields),) = parsed(cite())
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    head = text.partition("references:")[0]
    said = dict(re.findall(r"^([a-z-]+): (.+)$", head, re.M))
    (author,) = re.findall(r"^  - name: (.+)$", head, re.M)
    assert (kind, key) == (said["type"], said["title"])
    assert fields["title"] == f"{{{said['title']}}}"
    assert fields["author"] == f"{{{author}}}"
    assert fields["version"] == said["version"] and fields["license"] == said["license"]
    assert cite("spikelearn") == cite()


def test_the_references_of_the_citation_file_have_the_same_words():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    blocks = text.partition("references:")[2].split("  - type:")[1:]
    assert len(blocks) == 4
    for block in blocks:
        arxiv = re.search(r"doi: 10\.48550/arXiv\.(\S+)", block)[1]
        _, author, title, year, _ = ENTRIES[f"arXiv:{arxiv}"]
        assert title in " ".join(block.split())
        families = re.findall(r"family-names: (.+)", block)
        assert [name.split(",")[0] for name in author.split(" and ")] == families
        assert f"year: {year}" in block


@pytest.mark.parametrize(("name", "hint"), [("mdlg", "mdgl"), ("e-porp", "e-prop")])
def test_unknown_names_get_a_suggestion(name, hint):
    with pytest.raises(UnknownName, match=f"Did you mean '{hint}'"):
        cite(name)


def test_a_thing_without_source_is_refused():
    with pytest.raises(InvalidValue, match="names a source; got Gradients"):
        cite(sl.Gradients)
