"""Clips of pours and their masks."""

from pipelines.declaration import CORES, GPU, stage_asset

__all__ = ["clips", "masks", "segmenter"]

clips = stage_asset(
    "clips",
    "Trimmed videos with 16 kHz sound of pours from every source, their catalogue, and the quarantine with reasons.",
    kinds={"parquet", "dvc"},
    owner="perception",
    pool=CORES,
    ages=True,
)

segmenter = stage_asset(
    "segmenter",
    "The pocket U-Net that draws masks, trained on simulator frames whose object ids come free.",
    kinds={"pytorch", "dvc"},
    owner="perception",
    pool=GPU,
)

masks = stage_asset(
    "masks",
    "A palette mask video (pourer, receiver, liquid) and a quality row for every clip.",
    kinds={"video", "dvc"},
    owner="perception",
    pool=GPU,
)
