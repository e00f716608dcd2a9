"""``python -m multigen_core.masks prompt CLIP``: a page on which a person clicks where the objects of clips are."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd

from multigen_core.clips.catalogue import read_catalogue
from multigen_core.command import exit_code_of
from multigen_core.errors import UserError
from multigen_core.masks.prompt_page import ClipToPrompt, PromptServer
from multigen_core.masks.prompts import read_prompts, unprompted
from multigen_core.params import load


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m multigen_core.masks", description="Prompts for SAM 2.")
    commands = parser.add_subparsers(dest="command", required=True)
    prompt = commands.add_parser("prompt", help="serve a page on this machine, until Ctrl-C")
    prompt.add_argument(
        "clips",
        nargs="*",
        metavar="CLIP",
        help="id of a clip, or of the recording it was cut from; default: every recording that lacks prompts",
    )
    prompt.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    prompt.add_argument("--folder", type=Path, default=Path("data/clips"), help="of the clips; default: data/clips")
    prompt.add_argument("--port", type=int, default=0, help="default: a free one")
    return parser


def chosen_clips(catalogue: pd.DataFrame, names: Sequence[str], lacking: Sequence[str]) -> list[str]:
    """Ids of the clips that ``names`` mean; without names those of real recordings among ``lacking``.

    Raises UserError for a name that no clip has, and when nothing is left to do.
    """
    chosen: list[str] = []
    for name in names:
        meant = catalogue.loc[(catalogue["clip_id"] == name) | (catalogue["source_id"] == name), "clip_id"]
        if meant.empty:
            known = ", ".join(catalogue.loc[catalogue["source"] != "reference", "clip_id"].head(5))
            raise UserError(f"no clip is called {name!r}; recordings in the catalogue are {known or 'none'} ...")
        chosen += [clip_id for clip_id in meant if clip_id not in chosen]
    if not names:
        recordings = catalogue.loc[catalogue["source"] != "reference", "clip_id"]
        chosen = [clip_id for clip_id in recordings if clip_id in set(lacking)]
        if not chosen:
            raise UserError("every recording of the catalogue has prompts: name the clip that you want to change")
    return chosen


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 for a mistake the user can mend."""
    options = _parser().parse_args(arguments)
    return exit_code_of(lambda: _serve(options))


def _serve(options: argparse.Namespace) -> None:
    prompts = Path(load(options.params).masks.sam2.prompts)
    catalogue = read_catalogue(options.folder)
    lacking = unprompted(read_prompts(prompts), list(catalogue["clip_id"]))
    names = chosen_clips(catalogue, options.clips, list(lacking))
    clips = [ClipToPrompt(name, options.folder / "media" / f"{name}.mp4") for name in names]
    with PromptServer(clips, prompts, port=options.port) as server:
        print(f"{len(clips)} clips at {server.address} ; Ctrl-C ends it, prompts go to {prompts}", flush=True)
        # Ctrl-C is how it ends.
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
