"""Files as MMAudio publishes them, with random weights of whatever ``mmaudio`` can be imported."""

import hashlib
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from multigen_core.audio_model.mmaudio_weights import VARIANTS, Variant

STAND_IN = Path(__file__).parent / "mmaudio_stand_in"


@contextmanager
def standing_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``mmaudio`` and ``open_clip`` are the minimal ones of this folder, also for child processes."""
    _forget()
    monkeypatch.syspath_prepend(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", f"{STAND_IN}:{Path(__file__).parents[2]}")
    yield
    _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] in {"mmaudio", "open_clip"}]:
        del sys.modules[name]


def publish(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Variant:
    """Writes every file of the variant from the stand-in, and makes their digests the expected ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        variant = VARIANTS[name]
        network = importlib.import_module("mmaudio.model.networks").get_my_mmaudio(name)
        for weights in network.parameters():
            torch.nn.init.normal_(weights, std=0.2)
        torch.nn.init.zeros_(network.latent_mean)
        torch.nn.init.ones_(network.latent_std)
        vae = importlib.import_module("mmaudio.ext.autoencoder.vae").get_my_vae(variant.mode)
        synchformer = importlib.import_module("mmaudio.ext.synchformer").Synchformer()
        clip = importlib.import_module("open_clip").Clip()
        for module in (synchformer, clip):
            for weights in module.parameters():
                torch.nn.init.normal_(weights)
        contents = {
            variant.network.name: network.state_dict(),
            variant.codec[0].name: vae.state_dict(),
            variant.codec[-1].name: {"generator": {"level": torch.zeros(1)}},
            "synchformer_state_dict.pth": synchformer.state_dict(),
            "clip/open_clip_pytorch_model.bin": clip.state_dict(),
        }
    for file in variant.files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.name in contents:
            torch.save(contents[file.name], path)
        else:
            path.write_text("{}")
    known = replace(
        variant,
        network=replace(variant.network, md5=_md5(folder / variant.network.name)),
        codec=tuple(replace(file, md5=file.md5 and _md5(folder / file.name)) for file in variant.codec),
    )
    monkeypatch.setitem(VARIANTS, name, known)
    eyes = importlib.import_module("multigen_core.audio_model.mmaudio_weights")._EYES
    replaced = tuple(replace(file, md5=file.md5 and _md5(folder / file.name)) for file in eyes)
    monkeypatch.setattr("multigen_core.audio_model.mmaudio_weights._EYES", replaced)
    return known


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
