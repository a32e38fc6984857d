"""The chips that come with this package: every number with its source.

What is not stated by a public source that was read is left out, and so unknown. None of
these numbers was measured on a chip by us.
"""

from __future__ import annotations

from hardware._chip_types import ChipSpec, Limit

__all__ = ["TABLE"]

DAVIES = "Davies et al. 2018, IEEE Micro 38(1):82-99, doi:10.1109/MM.2018.112130359"
NENGO = "nengo-loihi 1.1.0, block validation, discretisation and emulator"
BRIEF = "Intel Loihi 2 technology brief (2021), via press reports"
LAVA = "lava-nc 0.10.0, bit-accurate CPU models"
HALA = "Intel Hala Point announcement: 140,544 cores on 1,152 chips"
RAO = "Rao et al. 2022, Nat. Mach. Intell. 4:467, use multi-compartment currents"
OURS = "hardware.lava_processes.adaptive_lif"
XYLO = "Rockpool documentation, overview of the Xylo family, XyloAudio 3"
ROCKPOOL = "Rockpool 3.1.0, devices.xylo.syns65302"
SPIN2 = "Gonzalez et al. 2024, arXiv:2401.04491"
SPIN2_PE = "Hoeppner et al. 2021, arXiv:2103.08392"
SPIN2_APP = "max_atoms_per_core of the LIF application, py-spinnaker2 as NESTML uses it"
SPIN2_API = "py-spinnaker2 documentation, SNN API"
ROSTAMI = "Rostami et al. 2022, doi:10.3389/fnins.2022.1018006 (e-prop, adaptive LIF)"
BSS2 = "Pehle et al. 2022, doi:10.3389/fnins.2022.795876"
BSS2_SHEET = "Open Neuromorphic hardware guide, BrainScaleS-2"
BSS2_OS = "Mueller et al. 2022, doi:10.3389/fnins.2022.884128, non-spiking mode"
SPECK = "sinabs documentation, Speck overview"
SAMNA = "samna documentation, Speck 2e"
YAO = "Yao et al. 2024, doi:10.1038/s41467-024-47811-6"

_LOIHI1 = ChipSpec(
    name="loihi1",
    title="Intel Loihi 1",
    note="14 nm, 60 mm2, 3 x86 cores. Fixed-function neurons.",
    cores=Limit(128, DAVIES),
    neurons=Limit(131_072, f"128 cores of 1024 compartments, {DAVIES}"),
    neurons_per_core=Limit(1024, DAVIES),
    input_axons_per_core=Limit(4096, NENGO),
    output_axons_per_core=Limit(4096, NENGO),
    synapse_memory_per_core=Limit(16_384 * 64, NENGO),
    synapse_memory_formula=Limit("axon blocks", f"{NENGO}: bits_per_axon"),
    compartment_profiles_per_core=Limit(32, NENGO),
    threshold_profiles_per_core=Limit(8, f"{NENGO}; other sources give 16"),
    synapse_formats_per_core=Limit(8, f"{NENGO}; other sources give 16"),
    recurrence=Limit(True, DAVIES),
    weight_bits=Limit((1, 2, 3, 4, 5, 6, 8), f"a mixed sign takes one, {NENGO}"),
    weight_exponent_min=Limit(-8, "brian2loihi; nengo-loihi allows -7"),
    weight_exponent_max=Limit(7, NENGO),
    delay_max=Limit(62, NENGO),
    decay_form=Limit("fraction", f"(4096 - d) / 4096, {NENGO}"),
    decay_bits=Limit(12, NENGO),
    threshold_mantissa_bits=Limit(17, NENGO),
    bias_mantissa_bits=Limit(13, f"signed, {NENGO}"),
    bias_exponent_max=Limit(7, NENGO),
    current_bits=Limit(24, f"23 and sign, wraps, {NENGO}"),
    voltage_bits=Limit(24, f"23 and sign, saturates, {NENGO}"),
    refractory_max=Limit(62, f"a delay of 1..63, less the step of the spike, {NENGO}"),
    resets=Limit(("zero",), f"{NENGO}: a spike sets the voltage to 0"),
    message_bits=Limit(0, f"binary spikes only, {BRIEF}"),
    trace_bits=Limit(7, NENGO),
    adaptive_threshold=Limit(False, RAO),
    rate_units=Limit(False, f"binary spikes only, {BRIEF}"),
    on_chip_learning=Limit(True, DAVIES),
)

_LOIHI2 = ChipSpec(
    name="loihi2",
    title="Intel Loihi 2",
    note="Intel 4, 31 mm2, 6 x86 cores. Microcoded neurons; few limits are public.",
    cores=Limit(128, f"{BRIEF}; {HALA} gives 122 usable ones"),
    neurons=Limit(1_000_000, f"up to, {BRIEF}"),
    synapses=Limit(120_000_000, f"up to, {BRIEF}"),
    memory_per_core=Limit(192 * 1024 * 8, f"192 KB shared flexibly, {BRIEF}"),
    recurrence=Limit(True, BRIEF),
    weight_bits=Limit((1, 2, 3, 4, 5, 6, 7, 8), LAVA),
    delay_max=Limit(62, f"6 bits; {LAVA} accept 63"),
    message_bits=Limit(32, f"graded spikes, up to, {BRIEF}"),
    resets=Limit(("subtract", "zero"), f"microcode, {BRIEF}"),
    adaptive_threshold=Limit(True, f"microcode, programmable neurons, {BRIEF}"),
    on_chip_learning=Limit(True, f"three-factor rules, {BRIEF}"),
)

_LAVA = ChipSpec(
    name="lava",
    title="Lava, fixed-point models on a CPU",
    note="A simulator: sizes are bounded by the memory of the computer.",
    recurrence=Limit(True, LAVA),
    weight_bits=Limit(
        (1, 2, 3, 4, 5, 6, 7, 8), f"Dense; a mixed sign takes one, {LAVA}"
    ),
    weight_exponent_min=Limit(-8, "range of Loihi 1; Lava itself does not check it"),
    weight_exponent_max=Limit(7, "range of Loihi 1; Lava itself does not check it"),
    delay_max=Limit(63, f"DelayDense, {LAVA}"),
    decay_form=Limit("fraction", f"(4096 - d) / 4096, {LAVA}"),
    decay_bits=Limit(12, LAVA),
    threshold_mantissa_bits=Limit(17, LAVA),
    bias_mantissa_bits=Limit(13, f"signed, {LAVA}"),
    bias_exponent_max=Limit(7, LAVA),
    current_bits=Limit(24, f"wraps by one turn, {LAVA}"),
    voltage_bits=Limit(24, f"saturates, {LAVA}"),
    refractory_max=Limit(63, f"{OURS}; Lava's fixed-point LIF has none"),
    resets=Limit(("subtract", "zero"), f"{OURS}; Lava's own LIF resets to zero"),
    message_bits=Limit(24, LAVA),
    trace_bits=Limit(7, LAVA),
    adaptive_threshold=Limit(True, f"a process of ours, {OURS}; none in Lava itself"),
    on_chip_learning=Limit(True, f"LearningDense, {LAVA}"),
)

_XYLO = ChipSpec(
    name="xylo",
    title="SynSense XyloAudio 3 (SYNS65302)",
    note="XyloAudio 2 has 1000 hidden and 8 readout neurons and a fan-out of 64, "
    "XyloIMU 496, 16 and 512. The mean fan-out is 32 for each of two synaptic states.",
    neurons=Limit(992 + 32, f"992 hidden and 32 readout, {XYLO}"),
    hidden_neurons=Limit(992, XYLO),
    inputs=Limit(16, XYLO),
    outputs=Limit(32, XYLO),
    fan_out=Limit(1024, XYLO),
    input_targets=Limit(128, XYLO),
    readout_sources=Limit(128, XYLO),
    recurrence=Limit(True, XYLO),
    weight_bits=Limit((8,), XYLO),
    decay_form=Limit("shift", f"bit-shift decay, {XYLO}"),
    current_bits=Limit(16, f"synaptic states are int16, {ROCKPOOL}"),
    voltage_bits=Limit(16, f"membranes and thresholds are int16, {ROCKPOOL}"),
    resets=Limit(("subtract",), XYLO),
    message_bits=Limit(4, f"up to 15 events per step and channel, {XYLO}"),
    adaptive_threshold=Limit(
        False, f"{XYLO}: time constants, threshold and bias are all a neuron has"
    ),
    rate_units=Limit(False, f"LIF neurons only, {XYLO}"),
    on_chip_learning=Limit(False, f"for inference, {XYLO}"),
)

_SPINNAKER2 = ChipSpec(
    name="spinnaker2",
    title="SpiNNaker2",
    note="22 nm, Arm Cortex-M4F cores: neurons and synapses are programs, and few "
    "limits are those of the chip.",
    cores=Limit(152, SPIN2),
    neurons_per_core=Limit(250, SPIN2_APP),
    recurrence=Limit(True, SPIN2_API),
    resets=Limit(
        ("subtract", "zero"),
        f"reset_by_subtraction of lif, {SPIN2_API}; V_reset of iaf_psc_exp, NESTML",
    ),
    adaptive_threshold=Limit(True, ROSTAMI),
    rate_units=Limit(True, f"DNN and hybrid networks, {SPIN2_PE}"),
    on_chip_learning=Limit(True, ROSTAMI),
)

_BRAINSCALES2 = ChipSpec(
    name="brainscales2",
    title="BrainScaleS-2",
    note="65 nm, analogue AdEx neurons about 1000 times faster than biology; they are "
    "calibrated, so that registers of states have no counterpart.",
    neurons=Limit(512, BSS2_SHEET),
    synapses=Limit(131_072, BSS2_SHEET),
    recurrence=Limit(True, BSS2),
    weight_bits=Limit((6,), BSS2_SHEET),
    adaptive_threshold=Limit(
        False, f"AdEx neurons adapt by a current, not by the threshold, {BSS2}"
    ),
    rate_units=Limit(True, BSS2_OS),
    on_chip_learning=Limit(True, f"hybrid plasticity, {BSS2}"),
)

_SPECK = ChipSpec(
    name="speck",
    title="SynSense Speck 2e / 2f",
    note="Nine convolutional cores and an event camera; each core has kernel and neuron"
    " memory of its own size.",
    cores=Limit(9, SPECK),
    neurons=Limit(328_000, f"328 K, {YAO}; 0.32 million, {SPECK}"),
    outputs=Limit(15, f"classes of the readout layer, {SAMNA}"),
    recurrence=Limit(
        False, "sinabs documentation, available network architecture: sequential layers"
    ),
    weight_bits=Limit((8,), SPECK),
    decay_form=Limit("linear", f"a leak value is taken off at every clock, {SPECK}"),
    voltage_bits=Limit(16, SPECK),
    message_bits=Limit(0, f"communication is event based only, {SPECK}"),
    rate_units=Limit(False, f"spiking layers only, {SPECK}"),
)

TABLE = (_LOIHI1, _LOIHI2, _LAVA, _XYLO, _SPINNAKER2, _BRAINSCALES2, _SPECK)
