"""Which outside parts of a run were real and which were embedded stand-ins."""

from dataclasses import dataclass

from multigen_core.experiment import Experiment

__all__ = ["EMULATED_LABS", "Part", "parts_of"]

_LABS = {
    "emulated": "simulated arm and liquid, physical sound",
    "gen3_emulator": "emulated Kinova Gen3 driven over the wire, simulated liquid, physical sound",
    "kinova_gen3": "real robot: Kinova Gen3",
}
EMULATED_LABS = ("emulated", "gen3_emulator")
"""Nothing in these is real."""


@dataclass(frozen=True)
class Part:
    """One row of DESIGN's table of outside parts."""

    name: str
    used: str
    embedded: bool

    @property
    def key(self) -> str:
        """As listed under ``embedded`` in summary.json."""
        return self.name.replace(" ", "_")


def parts_of(experiment: Experiment, *, real_clips: int, clips: int) -> list[Part]:
    """``clips`` is the size of the catalogue, of which ``real_clips`` are recordings."""
    embedded_clips = clips - real_clips
    rows = []
    if embedded_clips:
        rows.append(Part("clips", f"{embedded_clips} procedural reference clips", True))
    if real_clips:
        rows.append(Part("clips", f"{real_clips} recordings", False))
    masks, lab = experiment.masks.provider, experiment.evaluation.lab
    rows.append(Part("masks", {"unet": "pocket U-Net", "sam2": "SAM 2.1"}[masks], masks == "unet"))
    backend = experiment.audio_model.backend
    variant = experiment.audio_model.mmaudio.variant
    model = {"pocket": "pocket flow matching", "mmaudio": f"MMAudio {variant}, finetuned with masks"}[backend]
    rows.append(Part("audio model", model, backend == "pocket"))
    rows.append(Part("lab", _LABS[lab], lab in EMULATED_LABS))
    engine = experiment.compute.engine
    rows.append(Part("engine", "Ray cluster" if engine == "ray" else engine.replace("_", " "), engine != "ray"))
    return rows
