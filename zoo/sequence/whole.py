"""What networks over a whole sequence share: the nodes in order are its tokens, and one pass is one step."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo.processor import Inputs, Latents, Processor, ProcessorConfig
from zoo.tokens import tokens
from zoo.topology import Topology


def own_iterations(mask: Bool[Tensor, "batch length"] | None, length: int) -> list[Bool[Tensor, " batch"]] | list[None]:
    """For a network that is iterated as often as a sequence is long: whether each sample takes part, by iteration.

    Args:
        mask: what of each sequence is no padding; None if nothing is padded.
        length: of the longest sequence, which is the number of iterations.

    Returns:
        One entry an iteration; None where all samples take part.
    """
    if mask is None:
        return [None] * length
    return list((torch.arange(length, device=mask.device)[:, None] < mask.sum(1)).unbind(0))


class WholeSequence(Processor):
    """A processor that reads all nodes at once, in their order.

    A token is node plus graph plus the maximum over the edges into the node (`zoo.tokens`), plus the node's
    hidden, each through a linear map where widths differ. Padding is zero when it goes in.
    """

    adjacency = "given"
    ordered = True

    def __init__(self, config: ProcessorConfig) -> None:
        """Make the map of the inputs, if their width is not that of the tokens."""
        super().__init__(config)
        same = self.input_size == self.hidden_size
        self.embed = nn.Identity() if same else nn.Linear(self.input_size, self.hidden_size)

    def read(
        self, inputs: Inputs, hidden: Latents, topology: Topology
    ) -> tuple[Float[Tensor, "batch length hidden"], Bool[Tensor, "batch length"] | None]:
        """The tokens of each graph, zero at padding, and the mask of what is no padding (None if nothing is)."""
        sequence, mask = topology.as_sequence(self.embed(tokens(inputs.encoded, topology)) + hidden.nodes)
        if mask is not None:
            sequence = torch.where(mask[..., None], sequence, 0.0)
        return sequence, mask
