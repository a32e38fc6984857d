"""The layers of a netx file, read with checks."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from hardware._checks import THRESHOLD_MAX
from hardware._violations import Violation
from hardware.export._netx_weights import EIGHT_BITS
from spikelearn.errors import FileFormatError
from spikelearn.files import MAX_ELEMENTS, read_array, read_group

__all__ = ["Layer", "own_dataset", "raise_problems", "read_layers"]

MOST_LAYERS = 256
MOST_TYPE_BYTES = 64
MOST_AXES = 8
DENSE = ("dense", "dense_rec")
NEURONS = ("CUBA", "LOIHI")
NO_SYNAPTIC_MEMORY = 4096
_SUPPORTED = (
    "This reads dense and dense_rec layers of CUBA (LOIHI) neurons, without delays, "
    "after an input layer without neurons"
)


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as the file has it: weights (post, pre), registers of every neuron."""

    name: str
    weight: np.ndarray
    weight_rec: np.ndarray
    i_decay: np.ndarray
    v_decay: np.ndarray
    threshold: np.ndarray
    bias: np.ndarray
    recurrent: bool

    @property
    def size(self) -> int:
        """Number of neurons."""
        return len(self.weight)

    @property
    def is_readout(self) -> bool:
        """Whether these neurons are leaky integrators, as our readout is."""
        silent = (self.threshold == THRESHOLD_MAX).all()
        memoryless = (self.i_decay == NO_SYNAPTIC_MEMORY).all()
        return bool(silent and memoryless and not self.recurrent)


def read_layers(where: str, file: h5py.File) -> tuple[list[Layer], list[str]]:
    """Read the dense layers of a netx file, after the input.

    Returns
    -------
    layers : list of Layer
    told : list of str
        What was left out, one sentence each.

    Raises
    ------
    FileFormatError
        If there are other layers, neurons or numbers, or they do not fit together.
    """
    groups = _layer_groups(where, file)
    _refuse_kinds(where, groups)
    dense = [group for group in groups if _kind(where, group) != "input"]
    if not dense:
        raise FileFormatError(f"{where} must hold a dense layer; got only an input.")
    told: list[str] = []
    problems: list[Violation] = []
    layers = [_read_layer(where, group, problems, told) for group in dense]
    width = layers[0].weight.shape[1]
    if len(groups) > len(dense):
        shape = _numbers(where, groups[0], "shape", problems, 1, MOST_AXES)
        width = int(np.prod(shape))
    raise_problems(where, problems)
    raise_problems(where, _size_problems(layers, width))
    return layers, told


def raise_problems(where: str, problems: list[Violation]) -> None:
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise FileFormatError(f"{where} cannot be read as a network:\n{lines}")


def _layer_groups(where: str, file: h5py.File) -> list[h5py.Group]:
    layers = read_group(where, file, "layer")
    if not 1 <= len(layers) <= MOST_LAYERS:
        raise FileFormatError(
            f"{where} must hold 1 to {MOST_LAYERS} layers; got {len(layers)}."
        )
    return [read_group(where, layers, str(k)) for k in range(len(layers))]


def own_dataset(where: str, group: h5py.Group, name: str) -> h5py.Dataset:
    """Return a dataset of one value that is stored in the file itself.

    Raises
    ------
    FileFormatError
        If there is none; `where` begins the message.
    """
    link = group.get(name, getlink=True)
    data = group[name] if isinstance(link, h5py.HardLink) else None
    if (
        not isinstance(data, h5py.Dataset)
        or data.size != 1
        or data.external
        or data.is_virtual
    ):
        place = f"{where}: {group.name.rstrip('/')}/{name}"
        raise FileFormatError(f"{place} must be one value in the file itself.")
    return data


def _text(where: str, group: h5py.Group, name: str) -> str:
    data = own_dataset(where, group, name)
    if data.dtype.kind not in "SO" or data.dtype.itemsize > MOST_TYPE_BYTES:
        raise FileFormatError(f"{where}: {data.name} must be a short text.")
    value = np.asarray(data[()]).ravel()[0]
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    return text[:MOST_TYPE_BYTES]


def _kind(where: str, group: h5py.Group) -> str:
    return _text(where, group, "type")


def _refuse_kinds(where: str, groups: list[h5py.Group]) -> None:
    """Raise for every layer and neuron type that a description has no form of."""
    problems = []
    for number, group in enumerate(groups):
        kind = _kind(where, group)
        if kind == "input" and number == 0 and "neuron" not in group:
            continue
        if kind not in DENSE:
            shown = f"{kind!r} with neurons" if "neuron" in group else repr(kind)
            limit = "dense or dense_rec"
            problems.append(Violation(f"{group.name}/type", limit, shown, _SUPPORTED))
            continue
        neuron = _text(where, read_group(where, group, "neuron"), "type")
        if neuron not in NEURONS:
            place, limit = f"{group.name}/neuron/type", "CUBA or LOIHI"
            problems.append(Violation(place, limit, repr(neuron), _SUPPORTED))
    raise_problems(where, problems)


def _numbers(
    where: str,
    group: h5py.Group,
    name: str,
    problems: list[Violation],
    most_axes: int,
    most: int = MAX_ELEMENTS,
) -> np.ndarray:
    """Read whole numbers with up to so many axes; they may be stored as floats."""
    link = group.get(name, getlink=True)
    axes = getattr(group[name], "ndim", 0) if isinstance(link, h5py.HardLink) else 0
    axes = min(axes, most_axes)
    values = read_array(where, group, name, ndim=axes, kinds="iuf", most=most)
    place = f"{group.name}/{name}"
    whole = np.isfinite(values) & (values == np.rint(values))
    whole &= np.abs(values) < 2**31
    if not whole.all():
        shown = f"{int((~whole).sum())} of {values.size} that are not"
        limit = "whole numbers of 32 bits"
        problems.append(Violation(place, limit, shown, "Quantise the network first"))
        return np.zeros(values.shape, np.int64)
    return values.astype(np.int64)


def _read_layer(
    where: str, group: h5py.Group, problems: list[Violation], told: list[str]
) -> Layer:
    recurrent = _kind(where, group) == "dense_rec"
    size = int(np.prod(_numbers(where, group, "shape", problems, 1, MOST_AXES)))

    def matrix(name: str) -> np.ndarray:
        values = _numbers(where, group, name, problems, 2)
        if values.ndim < 2 and size > 0 and values.size % size == 0:
            values = values.reshape(size, -1)  # lava-dl does so too
        if values.ndim != 2 or len(values) != size or not values.size:
            raise FileFormatError(
                f"{where}: {group.name}/{name} must be (post, pre) with {size} rows, "
                f"as many as /shape says; got shape {values.shape}."
            )
        return values

    weight = matrix("weight")
    weight_rec = matrix("weight_rec") if recurrent else np.zeros((size, 0), np.int64)
    for name, values in (("weight", weight), ("weight_rec", weight_rec)):
        if values.size and not -256 <= values.min() <= values.max() <= 255:
            shown = f"{int(values.min())} to {int(values.max())}"
            remedy = "Quantise the weights to 8 bits"
            problems.append(
                Violation(f"{group.name}/{name}", EIGHT_BITS, shown, remedy)
            )
    neuron = read_group(where, group, "neuron")
    _check_extras(where, group, neuron, problems, told)

    def register(owner: h5py.Group, name: str) -> np.ndarray:
        values = _numbers(where, owner, name, problems, 1)
        if values.size not in (1, size):
            raise FileFormatError(
                f"{where}: {owner.name}/{name} must be one number or {size}; got "
                f"{values.size}."
            )
        return np.broadcast_to(values.reshape(-1), (size,))

    bias = register(group, "bias") if "bias" in group else np.zeros(size, np.int64)
    names = ("iDecay", "vDecay", "vThMant")
    i_decay, v_decay, threshold = (register(neuron, name) for name in names)
    for name, values, low, high in (
        ("iDecay", i_decay, 1, 4096),
        ("vDecay", v_decay, 0, 4095),
        ("vThMant", threshold, 0, THRESHOLD_MAX),
    ):
        if values.min() < low or values.max() > high:
            shown = f"{int(values.min())} to {int(values.max())}"
            place, remedy = f"{neuron.name}/{name}", "Change the time constant or scale"
            problems.append(Violation(place, f"{low}..{high}", shown, remedy))
    return Layer(
        group.name, weight, weight_rec, i_decay, v_decay, threshold, bias, recurrent
    )


def _check_extras(
    where: str,
    group: h5py.Group,
    neuron: h5py.Group,
    problems: list[Violation],
    told: list[str],
) -> None:
    """Look at what may be absent: delays, an exponent, refractoriness, messages."""
    for owner, name in ((group, "delay"), (neuron, "wgtExp"), (neuron, "weight_exp")):
        if name in owner and _numbers(where, owner, name, problems, 2).any():
            place = f"{owner.name}/{name}"
            problems.append(Violation(place, "absent or 0", "other values", _SUPPORTED))
    if (
        "refDelay" in neuron
        and (_numbers(where, neuron, "refDelay", problems, 1) > 1).any()
    ):
        told.append(f"{neuron.name}/refDelay was ignored, as lava-dl does")
    told += [
        f"{neuron.name}/{name}: the spikes were taken as binary"
        for name in ("gradedSpike", "messageBits")
        if name in neuron and own_dataset(where, neuron, name)[()]
    ]


def _size_problems(layers: list[Layer], width: int) -> list[Violation]:
    """Return which layers do not fit to the one before, or are too large together."""
    remedy = "Each layer reads the one before it"
    problems = []
    for layer in layers:
        shapes = [("weight", layer.weight, (layer.size, width))]
        if layer.recurrent:
            shapes.append(("weight_rec", layer.weight_rec, (layer.size, layer.size)))
        for name, block, wanted in shapes:
            if block.shape != wanted:
                place = f"{layer.name}/{name}"
                limit = f"of shape {wanted} (post, pre)"
                problems.append(Violation(place, limit, str(block.shape), remedy))
        width = layer.size
    total = sum(layer.size for layer in layers)
    if total**2 > MAX_ELEMENTS:
        limit = f"at most {int(MAX_ELEMENTS**0.5)} neurons in all layers"
        problems.append(Violation("/layer", limit, str(total), "Read fewer layers"))
    return problems
