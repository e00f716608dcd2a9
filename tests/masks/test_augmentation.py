"""Augmentation: masks follow the picture, and everything comes from the generator."""

import torch

from multigen_core.masks.augmentation import augment, jpeg_like


def _batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Masks that can be read off the picture: red is class 1, green is class 2."""
    masks = torch.zeros(16, 64, 64, dtype=torch.long)
    masks[:, 16:48, 8:28], masks[:, 20:60, 36:56] = 1, 2
    images = torch.stack([(masks == 1).float(), (masks == 2).float(), torch.full(masks.shape, 0.2)], dim=1)
    return images, masks


def test_masks_stay_on_their_objects() -> None:
    images, masks = _batch()
    moved, labels = augment(images, masks, generator=torch.Generator().manual_seed(0))
    redder = (moved[:, 0] - moved[:, 1]).flatten()
    assert redder[(labels == 1).flatten()].mean() > 0.2
    assert redder[(labels == 2).flatten()].mean() < -0.2


def test_pictures_stay_in_range_and_differ() -> None:
    images, masks = _batch()
    moved, labels = augment(images, masks, generator=torch.Generator().manual_seed(1))
    assert moved.shape == images.shape and labels.shape == masks.shape and labels.dtype == masks.dtype
    assert moved.min() >= 0.0 and moved.max() <= 1.0
    assert not torch.equal(moved[0], moved[1])
    assert set(labels.unique().tolist()) <= {0, 1, 2}


def test_same_generator_state_draws_the_same() -> None:
    first, second = (augment(*_batch(), generator=torch.Generator().manual_seed(2)) for _ in range(2))
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_fine_compression_changes_nothing_and_coarse_compression_does() -> None:
    images = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(3))
    fine = jpeg_like(images, torch.zeros(2, 1, 1, 1))
    coarse = jpeg_like(images, torch.full((2, 1, 1, 1), 0.3))
    assert torch.allclose(fine, images, atol=2e-3)
    assert (coarse - images).abs().mean() > 0.1


def test_flat_blocks_survive_compression() -> None:
    flat = torch.full((1, 3, 8, 8), 0.5)
    assert torch.allclose(jpeg_like(flat, torch.full((1, 1, 1, 1), 0.1)), flat, atol=0.02)
