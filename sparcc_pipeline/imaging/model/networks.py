"""The two networks, built by MONAI: bones on whole slices, edema on joint-centred patches.

The dictionaries are MONAI network definitions; the bundle's `configs/inference.json` holds the same. torch and MONAI
are imported only when a network is built: scoring with ONNX Runtime never needs them.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from torch import nn

BONE_CLASSES: Final = 5
"""Background and the four bones of `anatomy.AnatomyLabel`. One more channel is the distance of the slice behind the
transitional slice, in cm, as estimated at each pixel of bone."""

BONE_NETWORK: Final[dict[str, Any]] = {
    "_target_": "monai.networks.nets.UNet",
    "spatial_dims": 2,
    "in_channels": 3,
    "out_channels": BONE_CLASSES + 1,
    "channels": [24, 48, 96, 128, 192],
    "strides": [2, 2, 2, 2],
    "num_res_units": 2,
    "norm": "batch",
}
"""(n, 3 slices, rows, columns) compressed signal -> (n, 6, rows, columns): five class logits, place in cm.

Batch normalisation: with instance normalisation a whole slice has other statistics than the patches of the training,
which shifted the six slices by two (measured on all seven people).
"""

EDEMA_NETWORK: Final[dict[str, Any]] = {
    "_target_": "monai.networks.nets.UNet",
    "spatial_dims": 2,
    "in_channels": 3,
    "out_channels": 1,
    "channels": [16, 32, 64, 128],
    "strides": [2, 2, 2],
    "num_res_units": 2,
    "norm": "batch",
}
"""(n, 3 slices, size, size) log ratio to normal marrow -> (n, 1, size, size) logit of edema.

Batch normalisation: the brightness of marrow against normal marrow defines edema, and instance normalisation removes it
(leave-one-out Dice of the person with the largest lesions: 0.44 against 0.83).
"""


def build_network(definition: dict[str, Any]) -> nn.Module:
    """Return a torch module from a MONAI network definition; only "monai.networks.nets.UNet" is accepted."""
    from monai.networks.nets.unet import UNet

    arguments = {name: value for name, value in definition.items() if name != "_target_"}
    network: nn.Module = UNet(**arguments)
    return network


def mean_of(networks: list[nn.Module]) -> nn.Module:
    """Return one module for the mean probability (not logit) of several one-channel networks."""
    import torch

    class MeanProbability(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(networks)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.sigmoid(member(image)) for member in self.members]).mean(dim=0)

    return MeanProbability().eval()


def export_onnx(network: nn.Module, example_shape: tuple[int, ...], path: Path) -> None:
    """Write `network` as one self-contained ONNX file with free batch, row and column sizes."""
    import torch

    free = {0: "batch", 2: "rows", 3: "columns"}
    with warnings.catch_warnings():
        # The legacy exporter, because the new one writes the weights to a file beside the model. It warns of its age,
        # of the fixed number of channels, and of instance norm, which always uses the statistics of the image.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(example_shape),),
            str(path),
            input_names=["image"],
            output_names=["output"],
            dynamic_axes={"image": free, "output": free},
            opset_version=18,
            dynamo=False,
        )
