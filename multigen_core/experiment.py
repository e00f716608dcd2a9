"""What decides a run, as frozen, validated dataclasses: one per stage, and nothing is configured anywhere else."""

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

__all__ = [
    "AudioModel",
    "AudioReport",
    "Automation",
    "Champion",
    "Clips",
    "Compute",
    "Epic",
    "Episodes",
    "Evaluation",
    "Experiment",
    "Filters",
    "MMAudio",
    "Masks",
    "NoiseAugmented",
    "Policy",
    "Sam2",
    "Segmenter",
    "YouTube",
    "seed_for",
]

_STRICT = ConfigDict(extra="forbid")
Count = Annotated[int, Field(gt=0, strict=True)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
EvenPixels = Annotated[int, Field(ge=32, multiple_of=16, strict=True)]
Ablation = Literal["vision", "vision_audio", "vision_noise", "audio", "joints"]
ConditionsName = Literal["test", "validation"]
FamilyName = Literal["diffusion", "behaviour_cloning"]
EyeName = Literal["segmenter", "pocket", "resnet18", "vit"]
DisturbanceName = Literal[
    "none",
    "chatter_20_db",
    "chatter_10_db",
    "chatter_5_db",
    "chatter_0_db",
    "lights_off",
    "camera_covered",
    "microphone_dead",
    "pour_muted",
]
Precision = Literal["auto", "float32", "bfloat16"]
"""Of a training's products; ``auto``: bfloat16 where the processor multiplies it by itself, float32 elsewhere."""
ShardName = Annotated[str, Field(pattern=r"^\d{3}$")]

_CRON_LIMITS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("weekday", 0, 7))


def _known_to_cron(text: str) -> str:
    """Numbers, lists, ranges and steps within the limits of their field: names of days are left out on purpose."""
    if len(text.split()) != len(_CRON_LIMITS):
        raise ValueError("a cron line has five parts: minute, hour, day of the month, month, weekday")
    for part, (name, low, high) in zip(text.split(), _CRON_LIMITS, strict=True):
        for item in part.split(","):
            shape = re.fullmatch(r"(\*|(\d+)(?:-(\d+))?)(?:/([1-9]\d*))?", item)
            numbers = [int(group) for group in (shape.group(2), shape.group(3)) if group] if shape else []
            if not shape or numbers != sorted(numbers) or not all(low <= number <= high for number in numbers):
                raise ValueError(f"the {name} of a cron line is *, numbers from {low} to {high}, ranges or steps")
    return text


def _known_time_zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (KeyError, OSError, ValueError) as error:
        raise ValueError("write a name of the IANA database such as UTC or Europe/Berlin") from error


@dataclass(frozen=True, config=_STRICT)
class Compute:
    """Where the items of a stage run."""

    engine: Literal["process_pool", "serial", "ray"]
    workers: Annotated[int, Field(ge=0, strict=True)]
    """Processes of the pool; 0 is one per core."""


@dataclass(frozen=True, config=_STRICT)
class YouTube:
    """Which videos the source ``youtube`` downloads, and how politely."""

    entries: str
    """YAML or CSV file with the column ``id``, and if wanted ``start_s``, ``stop_s`` and ``licence``."""
    cache: str
    address: Annotated[str, Field(pattern=r"^https?://.*\{id\}")]
    pause_s: NotNegative
    rate_limit_kb_s: Positive


@dataclass(frozen=True, config=_STRICT)
class Epic:
    """Where the source ``epic`` finds annotations and videos, and which rows are pours."""

    annotations: str
    video_info: str
    videos: str
    verb_class: Annotated[int, Field(ge=0, strict=True)]
    nouns: tuple[str, ...]
    """Parts of a noun that make a pour one of a liquid; empty takes every pour."""
    sounds: str
    """File of EPIC-SOUNDS, in which a pour must be heard; empty takes what is only seen."""
    sound_classes: tuple[Annotated[int, Field(ge=0, strict=True)], ...]


@dataclass(frozen=True, config=_STRICT)
class Filters:
    """Thresholds of the curation, on clips as they are kept; what each rejects is in the quarantine with its figure."""

    min_level_dbfs: Annotated[float, Field(le=0)]
    max_clipped: Share
    """Samples at full scale."""
    min_motion: NotNegative
    """Range of the most moving 2 % of the picture, in levels of 255; 0 takes still images."""
    min_continuity: Annotated[float, Field(ge=-1, le=1)]
    """Correlation of neighbouring frames; -1 takes cut films."""
    max_speech: Share
    """Of the time; 1 takes every clip, as for music."""
    max_music: Share
    max_likeness: Share
    """Of the fingerprints of two clips, 0.5 by chance; 1 takes copies."""
    max_overlap: Share
    """Of the shorter of two clips of one recording, in time."""


@dataclass(frozen=True, config=_STRICT)
class Clips:
    """Which pours the audio model learns from."""

    sources: tuple[Literal["reference", "local", "youtube", "epic"], ...]
    inbox: str
    """Folder of the local source, relative to the project root."""
    reference_count: Annotated[int, Field(ge=0, strict=True)]
    length_s: Positive
    min_length_s: Positive
    fps: Positive
    size_px: EvenPixels
    """Clips are kept with this short side."""
    validation_fraction: Fraction
    licences: tuple[str, ...]
    """Those whose clips are taken, in any case of letters; empty takes all."""
    filters: Filters
    youtube: YouTube
    epic: Epic


@dataclass(frozen=True, config=_STRICT)
class Segmenter:
    """Training of the pocket U-Net on simulator frames."""

    frames: Count
    image_px: EvenPixels
    steps: Count
    batch: Count
    learning_rate: Positive
    precision: Precision
    width: Count


@dataclass(frozen=True, config=_STRICT)
class Sam2:
    """Where the real mask provider finds its weights and prompts."""

    checkpoint: str
    sha256: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{64})?$")]
    """Of the checkpoint; empty: any file is taken."""
    model_config: str
    prompts: str
    """YAML file: clip id -> points or a box per object; see docs/going_real.md."""
    automatic_prompts: bool
    """Whether the pocket U-Net prompts what the file leaves out."""
    tile_frames: Annotated[int, Field(ge=2, strict=True)]
    """Frames in memory at once, 12.6 MB each."""


@dataclass(frozen=True, config=_STRICT)
class Masks:
    """Who draws the masks of the clips."""

    provider: Literal["unet", "sam2"]
    sam2: Sam2


@dataclass(frozen=True, config=_STRICT)
class MMAudio:
    """The real audio model: which one, where its files lie, and how it is finetuned."""

    variant: Literal["small_16k", "large_44k_v2"]
    weights: str
    """Folder with the published files, relative to the project root; see docs/going_real.md."""
    cache: str
    """Folder that keeps the features of every clip, so that a killed extraction goes on where it stopped."""
    checkpoints: str
    """Folder that training resumes from."""
    window_s: Positive
    """Length of a training example and of a piece that is generated; MMAudio was trained on 8 s."""
    prompt: str
    steps: Count
    batch: Count
    """Examples per device and micro-step."""
    accumulate: Count
    """Micro-steps per optimizer step."""
    learning_rate: Positive
    warm_up_steps: Annotated[int, Field(ge=0, strict=True)]
    frozen_steps: Annotated[int, Field(ge=0, strict=True)]
    """At first only the layers that read the masks learn."""
    lora_rank: Annotated[int, Field(ge=0, strict=True)]
    """Of what MMAudio's linear layers learn; 0: all of its weights learn."""
    checkpoint_steps: Count
    precision: Precision
    ema: Fraction
    video_dropout: Fraction
    """Of RGB and masks together."""
    mask_dropout: Fraction
    """Of the masks alone."""
    text_dropout: Fraction
    devices: Annotated[int, Field(ge=0, strict=True)]
    """GPUs; 0 takes all."""
    sampling_steps: Count
    guidance: Positive
    generated_at_once: Count


@dataclass(frozen=True, config=_STRICT)
class AudioModel:
    """The model that watches masks and makes sound; but for ``mmaudio`` the keys are the pocket model's."""

    backend: Literal["pocket", "mmaudio"]
    window_s: Positive
    steps: Count
    batch: Count
    learning_rate: Positive
    hidden: Count
    depth: Count
    heads: Count
    condition_dropout: Fraction
    sampling_steps: Count
    guidance: Positive
    loudness_guidance: Positive
    vocoder_iterations: Count
    least_mask_gain: float
    """Share of the held-out loss with other clips' masks by which the right ones must lower it."""
    most_clipped: Fraction
    """Share of a plain pour's samples that may be at full scale."""
    mmaudio: MMAudio


@dataclass(frozen=True, config=_STRICT)
class AudioReport:
    """Figure 4a: how true and how varied the generated sound is."""

    episodes: Count
    seeds_per_episode: Annotated[int, Field(ge=2, strict=True)]


@dataclass(frozen=True, config=_STRICT)
class Episodes:
    """Silent simulated pours."""

    shards: Annotated[tuple[ShardName, ...], Field(min_length=1)]
    per_shard: Count
    image_px: EvenPixels
    rate_hz: Positive
    particle_ml: Positive
    timestep_s: Positive
    solver_iterations: Count
    looks: Share
    """Share of the pours that pause before the goal to look, and then make up for what is missing."""
    stalls: Share
    """Share of the pours in which the arm once creeps on instead of what it should do, half of them past the goal."""
    servo_lag_s: Annotated[float, Field(ge=0.02, le=0.3)]
    """At a steady speed the arm's joints are where they should have been so long ago."""
    arm_meshes: str
    """Folder of the arm's meshes, as MuJoCo Menagerie has them; empty: it is drawn of tubes."""
    max_duration_s: Positive


@dataclass(frozen=True, config=_STRICT)
class NoiseAugmented:
    """The baseline: environmental noise instead of generated sound."""

    level_dbfs: tuple[float, float]
    """Range of the noise's mean level."""


@dataclass(frozen=True, config=_STRICT)
class Policy:
    """The policy and its training."""

    ablations: Annotated[tuple[Ablation, ...], Field(min_length=1)]
    family: FamilyName
    """Of its head; but for that one ``diffusion_steps``, ``sampling_steps`` and ``samples`` are the first's."""
    image_encoder: EyeName
    """The first one is shown the masks that the stage ``segmenter`` draws, the others the image."""
    sound_encoder: Literal["pocket", "ast"]
    """``resnet18``, ``vit`` and ``ast`` have the published size and need a GPU."""
    steps: Count
    batch: Count
    learning_rate: Positive
    precision: Precision
    ema: Fraction
    audio_window_s: Positive
    chunk: Count
    """Actions predicted at once."""
    executed: Count
    """Actions of a chunk that are carried out before the next decision."""
    diffusion_steps: Count
    sampling_steps: Count
    samples: Count
    """Chunks drawn per decision; the one whose tilt is in the middle is carried out."""
    auxiliary_weight: NotNegative
    validation_fraction: Fraction


@dataclass(frozen=True, config=_STRICT)
class Evaluation:
    """Closed-loop trials in the lab."""

    lab: Literal["emulated", "gen3_emulator", "kinova_gen3"]
    """With the last one the trials are those recorded under ``data/robot``; see docs/real_robot.md."""
    conditions: ConditionsName
    """Cups, rooms and lights of an emulated lab: results come from ``test``, choices are made in ``validation``."""
    disturbance: DisturbanceName
    """Of the senses of an emulated lab."""
    trials: Count
    """Per ablation; trial k has the same cup, goal and seed in every ablation."""
    max_duration_s: Positive
    camera_latency_s: NotNegative
    microphone_latency_s: NotNegative
    arm_latency_s: NotNegative
    bootstrap: Count
    videos: Annotated[int, Field(ge=0, strict=True)]
    """So many first trials per ablation keep their video; those that failed keep it too."""


@dataclass(frozen=True, config=_STRICT)
class Champion:
    """The gate before the registry alias ``champion`` moves."""

    ablation: Ablation
    max_nmae: Positive
    margin: NotNegative
    """How much lower than the champion's NMAE the challenger's must be."""
    max_container_loss: NotNegative
    """How much higher than the champion's the challenger's NMAE may be on any one container."""
    max_spilled_ml: NotNegative


@dataclass(frozen=True, config=_STRICT)
class AudioChampion:
    """The gate before the alias ``champion`` of the audio model moves; errors are of pitch, in octaves."""

    margin: NotNegative
    """How much lower than the champion's pitch error the challenger's must be."""
    max_container_loss: NotNegative
    """How much higher than the champion's the challenger's pitch error may be on any one container."""
    max_sdr_loss_db: NotNegative
    """How much lower than the champion's the challenger's fidelity may be."""


@dataclass(frozen=True, config=_STRICT)
class Automation:
    """When the pipeline runs by itself, once somebody turned it on, and when its results count as old."""

    cron: Annotated[str, AfterValidator(_known_to_cron)]
    """Minute, hour, day of the month, month, day of the week of the retraining."""
    time_zone: Annotated[str, AfterValidator(_known_time_zone)]
    """Name in the IANA database, in which ``cron`` is read."""
    inbox_poll_s: Count
    """How often the inbox is looked at; new clips count when two looks in a row saw the same."""
    fresh_days: Positive
    """Clips, policy and evaluation that were not made for longer raise Dagster's freshness alarm."""


@dataclass(frozen=True, config=_STRICT)
class Experiment:
    """Everything that decides what a run produces."""

    profile: str
    seed: Annotated[int, Field(ge=0, strict=True)]
    compute: Compute
    clips: Clips
    segmenter: Segmenter
    masks: Masks
    audio_model: AudioModel
    audio_report: AudioReport
    episodes: Episodes
    noise_augmented: NoiseAugmented
    policy: Policy
    evaluation: Evaluation
    champion: Champion
    audio_champion: AudioChampion
    automation: Automation


def seed_for(experiment: Experiment, *path: str | int) -> int:
    """A seed of its own for every place in the pipeline: ``seed_for(experiment, "episodes", "003", 12)``.

    Names are folded in by their bytes, so that adding a stage does not move the others' seeds.
    """
    words = [int.from_bytes(str(part).encode(), "little") for part in path]
    return int(np.random.SeedSequence([experiment.seed, *words]).generate_state(1, np.uint64)[0] >> 1)
