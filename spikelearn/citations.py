"""BibTeX for what is used: rules, plasticity terms, tasks, connectivity, spikelearn."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import Any

from spikelearn.connectivity import FAMILIES
from spikelearn.errors import InvalidValue, unknown_name
from spikelearn.learning.flossing import Flossing
from spikelearn.learning.homeostasis import IntrinsicPlasticity
from spikelearn.learning.oja import PLASTICITY_TERMS
from spikelearn.learning.rules import RULES
from spikelearn.tasks import TASKS

__all__ = ["ENTRIES", "cite", "references_in"]

# DOI, arXiv number, or the words of a reference that has neither.
REFERENCE = re.compile(
    r"doi:(?:10\.48550/)?(?P<doi>(?:10\.\d+/|arXiv\.)[^\s,;)]*[^\s,;).])"
    r"|arXiv:(?P<arxiv>\d{4}\.\d{4,5})"
    r"|(?P<words>Krogh & Hertz 1991)"
)
NEURIPS = "Advances in Neural Information Processing Systems {}"
LIU = "Liu, Yuhan Helena"
BELLEC = "Bellec, Guillaume"

# By reference: kind of the entry, authors, title, year, other fields.
ENTRIES: dict[str, tuple[str, str, str, int, dict[str, str]]] = {
    "10.1038/s41467-020-17236-y": (
        "article",
        f"{BELLEC} and Scherr, Franz and Subramoney, Anand and Hajek, Elias and "
        "Salaj, Darjan and Legenstein, Robert and Maass, Wolfgang",
        "A solution to the learning dilemma for recurrent networks of spiking neurons",
        2020,
        {"journal": "Nature Communications", "volume": "11", "pages": "3625"},
    ),
    "arXiv:1803.09574": (
        "inproceedings",
        f"{BELLEC} and Salaj, Darjan and Subramoney, Anand and Legenstein, Robert and "
        "Maass, Wolfgang",
        "Long short-term memory and learning-to-learn in networks of spiking neurons",
        2018,
        {"booktitle": NEURIPS.format(31)},
    ),
    "10.1109/5.58337": (
        "article",
        "Werbos, Paul J.",
        "Backpropagation through time: what it does and how to do it",
        1990,
        {
            "journal": "Proceedings of the IEEE",
            "volume": "78",
            "number": "10",
            "pages": "1550--1560",
        },
    ),
    "10.1109/MSP.2019.2931595": (
        "article",
        "Neftci, Emre O. and Mostafa, Hesham and Zenke, Friedemann",
        "Surrogate Gradient Learning in Spiking Neural Networks: Bringing the Power of "
        "Gradient-Based Optimization to Spiking Neural Networks",
        2019,
        {
            "journal": "IEEE Signal Processing Magazine",
            "volume": "36",
            "number": "6",
            "pages": "51--63",
        },
    ),
    "10.1162/neco.1989.1.2.270": (
        "article",
        "Williams, Ronald J. and Zipser, David",
        "A Learning Algorithm for Continually Running Fully Recurrent Neural Networks",
        1989,
        {
            "journal": "Neural Computation",
            "volume": "1",
            "number": "2",
            "pages": "270--280",
        },
    ),
    "10.7554/eLife.43299": (
        "article",
        "Murray, James M.",
        "Local online learning in recurrent networks with random feedback",
        2019,
        {"journal": "eLife", "volume": "8", "pages": "e43299"},
    ),
    "arXiv:2006.07232": (
        "inproceedings",
        "Menick, Jacob and Elsen, Erich and Evci, Utku and Osindero, Simon and "
        "Simonyan, Karen and Graves, Alex",
        "Practical Real Time Recurrent Learning with a Sparse Approximation",
        2021,
        {"booktitle": "International Conference on Learning Representations"},
    ),
    "10.1109/TNNLS.2022.3153985": (
        "article",
        "Bohnstingl, Thomas and Wo{\\'z}niak, Stanis{\\l}aw and Pantazi, Angeliki and "
        "Eleftheriou, Evangelos",
        "Online Spatio-Temporal Learning in Deep Neural Networks",
        2022,
        {"journal": "IEEE Transactions on Neural Networks and Learning Systems"},
    ),
    "10.1073/pnas.2111821118": (
        "article",
        f"{LIU} and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and "
        'S{\\"u}mb{\\"u}l, Uygar',
        "Cell-type-specific neuromodulation guides synaptic credit assignment in a "
        "spiking neural network",
        2021,
        {
            "journal": "Proceedings of the National Academy of Sciences",
            "volume": "118",
            "number": "51",
            "pages": "e2111821118",
        },
    ),
    "arXiv:2206.01338": (
        "inproceedings",
        f"{LIU} and Smith, Stephen and Mihalas, Stefan and Shea-Brown, Eric and "
        'S{\\"u}mb{\\"u}l, Uygar',
        "Biologically-plausible backpropagation through arbitrary timespans via local "
        "neuromodulators",
        2022,
        {"booktitle": NEURIPS.format(35)},
    ),
    "arXiv:2206.00823": (
        "inproceedings",
        f"{LIU} and Ghosh, Arna and Richards, Blake and Shea-Brown, Eric and "
        "Lajoie, Guillaume",
        "Beyond accuracy: generalization properties of bio-plausible temporal credit "
        "assignment rules",
        2022,
        {"booktitle": NEURIPS.format(35)},
    ),
    "arXiv:2310.08513": (
        "inproceedings",
        f"{LIU} and Baratin, Aristide and Cornford, Jonathan and Mihalas, Stefan and "
        "Shea-Brown, Eric and Lajoie, Guillaume",
        "How connectivity structure shapes rich and lazy learning in neural circuits",
        2024,
        {"booktitle": "International Conference on Learning Representations"},
    ),
    "arXiv:1905.00414": (
        "inproceedings",
        "Kornblith, Simon and Norouzi, Mohammad and Lee, Honglak and Hinton, Geoffrey",
        "Similarity of neural network representations revisited",
        2019,
        {"booktitle": "International Conference on Machine Learning"},
    ),
    "10.1038/s41586-019-1352-7": (
        "article",
        "Cook, Steven J. and Jarrell, Travis A. and Brittin, Christopher A. and "
        "Wang, Yi and Bloniarz, Adam E. and Yakovlev, Maksim A. and "
        "Nguyen, Ken C. Q. and Tang, Leo T.-H. and Bayer, Emily A. and "
        'Duerr, Janet S. and B{\\"u}low, Hannes E. and Hobert, Oliver and '
        "Hall, David H. and Emmons, Scott W.",
        "Whole-animal connectomes of both Caenorhabditis elegans sexes",
        2019,
        {"journal": "Nature", "volume": "571", "pages": "63--71"},
    ),
    "10.1038/364337a0": (
        "article",
        "McIntire, Steven L. and Jorgensen, Erik and Kaplan, Joshua and "
        "Horvitz, H. Robert",
        "The GABAergic nervous system of Caenorhabditis elegans",
        1993,
        {"journal": "Nature", "volume": "364", "pages": "337--341"},
    ),
    "10.1038/s41586-024-07939-3": (
        "article",
        "Lappalainen, Janne K. and Tschopp, Fabian D. and Prakhya, Sridhama and "
        "McGill, Mason and Nern, Aljoscha and Shinomiya, Kazunori and "
        "Takemura, Shin-ya and Gruntman, Eyal and Macke, Jakob H. and "
        "Turaga, Srinivas C.",
        "Connectome-constrained networks predict neural activity across the fly "
        "visual system",
        2024,
        {"journal": "Nature", "volume": "634", "pages": "1132--1140"},
    ),
    "10.1073/pnas.1509820112": (
        "article",
        "Takemura, Shin-ya and Xu, C. Shan and Lu, Zhiyuan and others",
        "Synaptic circuits and their variations within different columns in the "
        "visual system of Drosophila",
        2015,
        {
            "journal": "Proceedings of the National Academy of Sciences",
            "volume": "112",
            "number": "44",
            "pages": "13711--13716",
        },
    ),
    "10.7554/eLife.40025": (
        "article",
        "Shinomiya, Kazunori and Huang, Gary and Lu, Zhiyuan and others",
        "Comparisons between the ON- and OFF-edge motion pathways in the Drosophila "
        "brain",
        2019,
        {"journal": "eLife", "volume": "8", "pages": "e40025"},
    ),
    "10.1093/cercor/bhs358": (
        "article",
        "Potjans, Tobias C. and Diesmann, Markus",
        "The Cell-Type Specific Cortical Microcircuit: Relating Structure and Activity "
        "in a Full-Scale Spiking Network Model",
        2014,
        {
            "journal": "Cerebral Cortex",
            "volume": "24",
            "number": "3",
            "pages": "785--806",
        },
    ),
    "10.3389/fncom.2011.00028": (
        "article",
        "Zhao, Liqiong and Beverlin, Bryce and Netoff, Theoden and Nykamp, Duane Q.",
        "Synchronization from Second Order Network Connectivity Statistics",
        2011,
        {
            "journal": "Frontiers in Computational Neuroscience",
            "volume": "5",
            "pages": "28",
        },
    ),
    "10.1126/science.1065103": (
        "article",
        "Maslov, Sergei and Sneppen, Kim",
        "Specificity and Stability in Topology of Protein Networks",
        2002,
        {"journal": "Science", "volume": "296", "pages": "910--913"},
    ),
    "10.1371/journal.pbio.0030068": (
        "article",
        'Song, Sen and Sj{\\"o}str{\\"o}m, Per Jesper and Reigl, Markus and '
        "Nelson, Sacha and Chklovskii, Dmitri B.",
        "Highly Nonrandom Features of Synaptic Connectivity in Local Cortical Circuits",
        2005,
        {"journal": "PLoS Biology", "volume": "3", "number": "3", "pages": "e68"},
    ),
    "10.1214/10-AOP534": (
        "article",
        "Tao, Terence and Vu, Van and Krishnapur, Manjunath",
        "Random matrices: Universality of ESDs and the circular law",
        2010,
        {
            "journal": "The Annals of Probability",
            "volume": "38",
            "number": "5",
            "pages": "2023--2065",
        },
    ),
    "arXiv:2410.11164": (
        "misc",
        f"Liu, Weixuan and Zhang, Xinyue and {LIU}",
        "The Influence of Initial Connectivity on Biologically Plausible Learning",
        2024,
        {},
    ),
    "10.3389/fnins.2020.00424": (
        "article",
        "Kaiser, Jacques and Mostafa, Hesham and Neftci, Emre",
        "Synaptic Plasticity Dynamics for Deep Continuous Local Learning (DECOLLE)",
        2020,
        {"journal": "Frontiers in Neuroscience", "volume": "14", "pages": "424"},
    ),
    "arXiv:2306.15220": (
        "article",
        "Apolinario, Marco Paul E. and Roy, Kaushik",
        "S-TLLR: STDP-inspired Temporal Local Learning Rule for Spiking Neural "
        "Networks",
        2025,
        {"journal": "Transactions on Machine Learning Research"},
    ),
    "10.1093/cercor/bhl152": (
        "article",
        "Izhikevich, Eugene M.",
        "Solving the Distal Reward Problem through Linkage of STDP and Dopamine "
        "Signaling",
        2007,
        {
            "journal": "Cerebral Cortex",
            "volume": "17",
            "number": "10",
            "pages": "2443--2452",
        },
    ),
    "10.3389/fncir.2015.00085": (
        "article",
        "Fr{\\'e}maux, Nicolas and Gerstner, Wulfram",
        "Neuromodulated Spike-Timing-Dependent Plasticity, and Theory of Three-Factor "
        "Learning Rules",
        2016,
        {"journal": "Frontiers in Neural Circuits", "volume": "9", "pages": "85"},
    ),
    "10.3389/fnins.2021.629892": (
        "article",
        "Frenkel, Charlotte and Lefebvre, Martin and Bol, David",
        "Learning Without Feedback: Fixed Random Learning Signals Allow for "
        "Feedforward Training of Deep Neural Networks",
        2021,
        {"journal": "Frontiers in Neuroscience", "volume": "15", "pages": "629892"},
    ),
    "arXiv:1904.05391": (
        "inproceedings",
        "Akrout, Mohamed and Wilson, Collin and Humphreys, Peter C. and Lillicrap, "
        "Timothy and Tweed, Douglas B.",
        "Deep Learning without Weight Transport",
        2019,
        {"booktitle": NEURIPS.format(32)},
    ),
    "10.1007/BF00275687": (
        "article",
        "Oja, Erkki",
        "Simplified neuron model as a principal component analyzer",
        1982,
        {
            "journal": "Journal of Mathematical Biology",
            "volume": "15",
            "number": "3",
            "pages": "267--273",
        },
    ),
    "10.1142/S0129065789000475": (
        "article",
        "Oja, Erkki",
        "Neural networks, principal components, and subspaces",
        1989,
        {
            "journal": "International Journal of Neural Systems",
            "volume": "1",
            "number": "1",
            "pages": "61--68",
        },
    ),
    "arXiv:2408.08408": (
        "misc",
        "Shervani-Tabar, Navid and Mirhoseini, Marzieh Alireza and Rosenbaum, Robert",
        "Oja's plasticity rule overcomes several challenges of training neural "
        "networks under biological constraints",
        2024,
        {},
    ),
    "10.1038/9165": (
        "article",
        "Desai, Niraj S. and Rutherford, Lana C. and Turrigiano, Gina G.",
        "Plasticity in the intrinsic excitability of cortical pyramidal neurons",
        1999,
        {
            "journal": "Nature Neuroscience",
            "volume": "2",
            "number": "6",
            "pages": "515--520",
        },
    ),
    "Krogh & Hertz 1991": (
        "inproceedings",
        "Krogh, Anders and Hertz, John A.",
        "A Simple Weight Decay Can Improve Generalization",
        1991,
        {"booktitle": NEURIPS.format(4), "pages": "950--957"},
    ),
    "10.1038/nn.4403": (
        "article",
        "Morcos, Ari S. and Harvey, Christopher D.",
        "History-dependent variability in population dynamics during evidence "
        "accumulation in cortex",
        2016,
        {"journal": "Nature Neuroscience", "volume": "19", "pages": "1672--1681"},
    ),
    "10.1038/nature12742": (
        "article",
        "Mante, Valerio and Sussillo, David and Shenoy, Krishna V. and Newsome, "
        "William T.",
        "Context-dependent computation by recurrent dynamics in prefrontal cortex",
        2013,
        {"journal": "Nature", "volume": "503", "pages": "78--84"},
    ),
    "10.1523/JNEUROSCI.16-16-05154.1996": (
        "article",
        "Miller, Earl K. and Erickson, Cynthia A. and Desimone, Robert",
        "Neural Mechanisms of Visual Working Memory in Prefrontal Cortex of the "
        "Macaque",
        1996,
        {"journal": "Journal of Neuroscience", "volume": "16", "pages": "5154--5167"},
    ),
    "10.1523/JNEUROSCI.12-12-04745.1992": (
        "article",
        "Britten, Kenneth H. and Shadlen, Michael N. and Newsome, William T. and "
        "Movshon, J. Anthony",
        "The analysis of visual motion: a comparison of neuronal and psychophysical "
        "performance",
        1992,
        {"journal": "Journal of Neuroscience", "volume": "12", "pages": "4745--4765"},
    ),
    "arXiv:2312.17306": (
        "inproceedings",
        "Engelken, Rainer",
        "Gradient Flossing: Improving Gradient Descent through Dynamic Control of "
        "Jacobians",
        2023,
        {"booktitle": NEURIPS.format(36)},
    ),
    "10.5281/zenodo.14508986": (
        "software",
        "{The NeuroGym developers}",
        "NeuroGym",
        2024,
        {"publisher": "Zenodo"},
    ),
    "10.24432/C50P49": (
        "misc",
        "Alpaydin, Ethem and Kaynak, Cenk",
        "Optical Recognition of Handwritten Digits",
        1998,
        {"publisher": "UCI Machine Learning Repository"},
    ),
    "10.1109/5.726791": (
        "article",
        "LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick",
        "Gradient-Based Learning Applied to Document Recognition",
        1998,
        {
            "journal": "Proceedings of the IEEE",
            "volume": "86",
            "number": "11",
            "pages": "2278--2324",
        },
    ),
    "10.21105/joss.00638": (
        "article",
        "Raschka, Sebastian",
        "MLxtend: Providing machine learning and data science utilities and extensions "
        "to Python's scientific computing stack",
        2018,
        {
            "journal": "Journal of Open Source Software",
            "volume": "3",
            "number": "24",
            "pages": "638",
        },
    ),
    "10.1162/neco.1994.6.1.147": (
        "article",
        "Pearlmutter, Barak A.",
        "Fast Exact Multiplication by the Hessian",
        1994,
        {
            "journal": "Neural Computation",
            "volume": "6",
            "number": "1",
            "pages": "147--160",
        },
    ),
    "10.1137/1.9780898719628": (
        "book",
        "Lehoucq, Richard B. and Sorensen, Danny C. and Yang, Chao",
        "ARPACK Users' Guide: Solution of Large-Scale Eigenvalue Problems with "
        "Implicitly Restarted Arnoldi Methods",
        1998,
        {"publisher": "Society for Industrial and Applied Mathematics"},
    ),
    "10.1137/S003614459631241X": (
        "article",
        "Squire, William and Trapp, George",
        "Using Complex Variables to Estimate Derivatives of Real Functions",
        1998,
        {
            "journal": "SIAM Review",
            "volume": "40",
            "number": "1",
            "pages": "110--112",
        },
    ),
    "10.1090/qam/42792": (
        "article",
        "Arnoldi, Walter E.",
        "The principle of minimized iterations in the solution of the matrix "
        "eigenvalue problem",
        1951,
        {
            "journal": "Quarterly of Applied Mathematics",
            "volume": "9",
            "number": "1",
            "pages": "17--29",
        },
    ),
    "arXiv:1712.09913": (
        "inproceedings",
        "Li, Hao and Xu, Zheng and Taylor, Gavin and Studer, Christoph and "
        "Goldstein, Tom",
        "Visualizing the Loss Landscape of Neural Nets",
        2018,
        {"booktitle": NEURIPS.format(31)},
    ),
    "arXiv:1412.6980": (
        "inproceedings",
        "Kingma, Diederik P. and Ba, Jimmy",
        "Adam: A Method for Stochastic Optimization",
        2015,
        {"booktitle": "International Conference on Learning Representations"},
    ),
}


def cite(*things: Any) -> str:
    """Return BibTeX entries for what was used; without arguments for spikelearn.

    Parameters
    ----------
    *things
        Names of rules, plasticity terms, tasks or families of connectivity ("mdgl",
        "oja", "low_rank"); the objects or classes themselves; any other part of
        spikelearn whose docstring names sources (a `Feedback`, an optimiser);
        "spikelearn".

    Returns
    -------
    str
        Entries of BibTeX, each once, in the order of the arguments.

    Raises
    ------
    UnknownName
        If a name is not known, with a suggestion.
    InvalidValue
        If a thing names no source.

    Examples
    --------
    >>> print(cite("e-prop").splitlines()[0])
    @article{bellec2020solution,
    """
    found: dict[str, str] = {}
    for thing in things or ("spikelearn",):
        if thing == "spikelearn":
            found["spikelearn"] = _own_entry()
            continue
        target = _named(thing) if isinstance(thing, str) else thing
        sources = references_in(target)
        if not sources:
            name = getattr(target, "__name__", type(target).__name__)
            raise InvalidValue(
                f"cite must be given something that names a source; got {name}. "
                "(Rules, plasticity terms and tasks do.)"
            )
        for source in sources:
            found[source] = _bibtex(source)
    return "\n".join(found.values())


def references_in(thing: Any) -> list[str]:
    """Return the keys of `ENTRIES` that a thing names, without those not known.

    They stand in `info.reference` of rules and terms, in the docstring of the rest.
    """
    info = getattr(thing, "info", None)
    text = thing.__doc__ if info is None else info.reference
    keys = []
    for match in REFERENCE.finditer(text or ""):
        doi = match["doi"]
        key = match["words"] or doi or f"arXiv:{match['arxiv']}"
        keys.append(key.replace("arXiv.", "arXiv:"))
    return [key for key in dict.fromkeys(keys) if key in ENTRIES]


def _named(name: str) -> Any:
    others = {"flossing": Flossing, IntrinsicPlasticity.info.name: IntrinsicPlasticity}
    known: dict[str, Any] = {**RULES, **PLASTICITY_TERMS, **others, **TASKS}
    known |= FAMILIES
    if name not in known:
        raise unknown_name("thing to cite", name, [*known, "spikelearn"])
    return known[name]


def _bibtex(source: str) -> str:
    kind, author, title, year, others = ENTRIES[source]
    fields = {"author": author, "title": f"{{{title}}}", "year": str(year), **others}
    if source.startswith("arXiv:"):
        number = source.removeprefix("arXiv:")
        fields |= {"eprint": number, "archiveprefix": "arXiv"}
        fields["doi"] = f"10.48550/arXiv.{number}"
    elif source.startswith("10."):
        fields["doi"] = source
    surname = re.sub(r"\\\W|[^A-Za-z]", "", author.split(",")[0]).lower()
    words = re.findall(r"[a-z]{3,}", title.lower())
    word = next(word for word in words if word not in ("the", "and", "for", "how"))
    return _entry(kind, f"{surname}{year}{word}", fields)


def _own_entry() -> str:
    """Return what CITATION.cff says."""
    fields = {
        "author": "{The spikelearn developers}",
        "title": "{spikelearn}",
        "version": version("spikelearn"),
        "license": "BSD-3-Clause",
    }
    return _entry("software", "spikelearn", fields)


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}", ""])
