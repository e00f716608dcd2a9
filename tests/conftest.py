"""Beside a torch without CUDA, torchvision misses the schemas of two kernels and does not load.

Only the extras [sam2] and [mmaudio] bring it, and nothing here calls those kernels. Once it is installed, Lightning
imports it too, so this comes before every test.
"""

import importlib.util

if importlib.util.find_spec("torchvision") is not None:
    import torch

    if torch.version.cuda is None:
        LIBRARY = torch.library.Library("torchvision", "DEF")
        """Schemas live as long as this does."""
        LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
