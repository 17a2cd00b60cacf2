"""What the one training loop trains."""

from typing import Any

from torch import Tensor, nn


class Task(nn.Module):
    """What is trained: networks as submodules, of which parameters with ``requires_grad`` are trained and kept."""

    def forward(self, batch: dict[str, Any]) -> dict[str, Tensor]:
        """Named terms, scalars; ``loss`` is minimised. batch: collated samples, with "number" [B] int64."""
        raise NotImplementedError

    def pictures(self) -> Tensor | None:
        """What the network draws now, [n, 3, H, W] in [0, 1], for TensorBoard; the same question every time."""
        return None

    def kept(self) -> dict[str, Tensor]:
        """The trained parameters and the buffers of the modules that have some, by name."""
        trained = {name for name, parameter in self.named_parameters() if parameter.requires_grad}
        owners = {name.rpartition(".")[0] for name in trained}
        return {
            name: tensor
            for name, tensor in self.state_dict(keep_vars=True).items()
            if name in trained or (not isinstance(tensor, nn.Parameter) and name.rpartition(".")[0] in owners)
        }
