"""Augmentation changes paint and loudness, never geometry, order or the targets."""

import math

import numpy as np
import torch

from multigen_core.dataset.windows import WindowBatch
from multigen_core.policy.augmentation import augmented, jittered_sound, recolored
from multigen_core.spectrogram import FLOOR


def bright_square() -> tuple[torch.Tensor, torch.Tensor]:
    """Images, and masks of the same square."""
    rgb = torch.full((16, 48, 48, 3), 60, dtype=torch.uint8)
    rgb[:, 20:28, 20:28] = 200
    return rgb, (rgb[..., 0] > 100).to(torch.uint8)


def squares() -> WindowBatch:
    """Nothing but them is worth looking at."""
    return WindowBatch(
        *bright_square(), *(torch.randn(16, *dims) for dims in ((80, 40), (7,), (7,), (1,), (8, 3), (3,)))
    )


def test_square_stays_a_square_and_moves_little() -> None:
    changed, masks = augmented(squares(), np.random.default_rng(0))[:2]
    assert changed.shape == (16, 48, 48, 3) and changed.dtype == torch.uint8
    places = set()
    for image, mask in zip(changed[..., 0].float(), masks, strict=True):
        bright = image > (image.max() + image.min()) / 2
        rows, columns = torch.where(bright)
        assert bright.sum() == 64 and torch.equal(mask, bright.to(torch.uint8))
        assert 18 <= rows.min() <= 22 and 18 <= columns.min() <= 22
        places.add((int(rows.min()), int(columns.min())))
    assert len(places) > 3


def test_brightness_differs_between_images() -> None:
    changed = recolored(bright_square()[0], np.random.default_rng(0))
    assert changed.float().mean(dim=(1, 2, 3)).std() > 5.0


def test_colours_differ_between_images() -> None:
    changed = recolored(bright_square()[0], np.random.default_rng(0)).float().mean(dim=(1, 2))  # (B, 3)
    assert (changed - changed.mean(dim=1, keepdim=True)).std() > 5.0


def test_loudness_changes_but_pitch_stays() -> None:
    log_mel = torch.full((64, 80, 121), -4.0)
    log_mel[:, 30] = 0.0
    changed = jittered_sound(log_mel, np.random.default_rng(0))
    loudest = changed.mean(dim=2).argmax(dim=1)
    levels = changed[:, 30].mean(dim=1)
    assert (loudest == 30).float().mean() > 0.9
    assert levels.std() > 0.2


def test_rooms_hum_and_their_hum_stands_still() -> None:
    """Where nothing is poured, some hear a tone: a band that stands out of its neighbours, as loud all the time."""
    silence = torch.full((64, 80, 121), math.log10(FLOOR))
    room = jittered_sound(silence, np.random.default_rng(0))
    level = room.median(dim=2).values  # (B, mels)
    neighbours = torch.stack([level.roll(3, dims=1), level.roll(-3, dims=1)]).amax(dim=0)
    stands_out = ((level - neighbours)[:, 3:-3] > 0.5).any(dim=1)  # by 10 dB
    assert 0.2 < stands_out.float().mean() < 0.9
    earlier, later = room[:, :, :60].median(dim=2).values, room[:, :, 61:].median(dim=2).values
    assert (earlier - later).abs().median() < 0.05


def test_same_seed_same_batch_and_targets_untouched() -> None:
    batch = squares()
    first, again = (augmented(batch, np.random.default_rng(4)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first[3:], batch[3:], strict=True))
    assert not torch.equal(first.log_mel, batch.log_mel)


def test_what_nobody_perceives_is_left_alone_and_changes_nothing_else() -> None:
    batch = squares()
    both = augmented(batch, np.random.default_rng(5))
    unseen = augmented(batch, np.random.default_rng(5), images=False)
    unheard = augmented(batch, np.random.default_rng(5), sound=False)
    assert torch.equal(unseen.rgb, batch.rgb) and torch.equal(unheard.log_mel, batch.log_mel)
    assert torch.equal(unheard.rgb, both.rgb) and torch.equal(unseen.log_mel, both.log_mel)
    assert torch.equal(unseen.masks, both.masks) and torch.equal(unheard.masks, both.masks)


def test_pictures_move_alike_whether_masks_were_drawn_or_not() -> None:
    batch = squares()
    undrawn = augmented(batch._replace(masks=torch.empty(16, 0, 0, dtype=torch.uint8)), np.random.default_rng(6))
    assert torch.equal(undrawn.rgb, augmented(batch, np.random.default_rng(6)).rgb) and not undrawn.masks.numel()
