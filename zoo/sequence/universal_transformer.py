"""Universal Transformer (Dehghani et al., ICLR 2019): one layer of attention, iterated until each token halts.

One step is a whole pass. Revision t = 1, 2, … of all tokens H is (eqs. 4 and 5)

    x = H + P_t,  A = LN(x + MultiHead(x)),  H' = LN(A + W₂ ReLU(W₁ A + b₁) + b₂)

where P_t adds sines of the position to sines of t (eqs. 6 and 7; position 0 is the first). With adaptive computation
time (Graves, 2016), p = σ(w x + b) is the probability that a token halts at this revision. It does once the sum of its
p exceeds 1 - ε, and then the remainder R, what its earlier p leave to 1, takes the place of its last p. With the
weights w so given (p, then R, then 0), what comes out is built revision by revision: in the paper's listing (appendix
C) as `y' = w H' + (1 - w) y` (`output="interpolated"`), in Graves' equations as `y' = y + w H'` (`output="averaged"`).
The penalty `ponder` is the mean over tokens of N + R, where N counts a token's revisions, times `ponder_weight`; it
comes with its weight, since that of the trainer is 1 where not named.

Where sources disagree: by the paper's text the state of a halted token is copied on, in its listing and in
tensor2tensor it is revised as long as any token runs, and only its output stays; this follows the listing. The latter
computes `y - w` for `(1 - w) y`, a slip of brackets. A token that is still running at the last revision allowed halts
there, so that weights always sum to 1; in the listing it would keep its p. Revisions after every token of the batch has
halted are not computed outside of the compiler, and would change nothing. The transition is the feed-forward one;
dropout is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from tasks.registry import option
from zoo.processor import Inputs, Latents, ProcessorConfig, State, Step, check_choice
from zoo.registry import register
from zoo.sequence.attention import AttentionLayer, sines
from zoo.sequence.transformer import AttentionConfig
from zoo.sequence.whole import WholeSequence
from zoo.topology import Topology

BIBTEX = """
@inproceedings{dehghani2019universal,
  title     = {Universal Transformers},
  author    = {Dehghani, Mostafa and Gouws, Stephan and Vinyals, Oriol and Uszkoreit, Jakob and Kaiser, {\\L}ukasz},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}
}
@article{graves2016adaptive,
  title   = {Adaptive Computation Time for Recurrent Neural Networks},
  author  = {Graves, Alex},
  journal = {arXiv preprint arXiv:1603.08983},
  year    = {2016}
}
"""

HALTING_EPSILON = 0.01
"""ε: lets a token halt at its first revision already (Graves, 2016, section 2)."""

HALTING_BIAS = 1.0
"""Start of the halting unit's bias, which makes early revisions likely to be the last."""


@dataclass(frozen=True, kw_only=True)
class UniversalTransformerConfig(AttentionConfig):
    """Options of `universal_transformer`."""

    act: bool = option(True, "adaptive computation time: each token has as many revisions as it takes")
    max_steps: int = option(12, "revisions allowed to a token; without act, all of them are made")
    output: str = option("interpolated", "how revisions make the output under act: interpolated, or averaged (Graves)")
    ponder_weight: float = option(0.01, "weight of the penalty on revisions, that of tensor2tensor")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("output", self.output, ("interpolated", "averaged"))
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, not {self.max_steps}")


class Pondering(NamedTuple):
    """How far each token's computation is.

    Attributes:
        halted: whether it has halted; padding has from the start.
        probability: sum of its halting probabilities before the one that stopped it.
        remainder: R, once it has halted.
        updates: N, its revisions so far.
    """

    halted: Bool[Tensor, "batch length"]
    probability: Float[Tensor, "batch length"]
    remainder: Float[Tensor, "batch length"]
    updates: Float[Tensor, "batch length"]


def ponder(
    pondering: Pondering, probability: Float[Tensor, "batch length"], *, last: bool
) -> tuple[Pondering, Float[Tensor, "batch length"]]:
    """One more revision of the tokens that still run.

    Args:
        pondering: before it.
        probability: that each token halts at it.
        last: whether no further one is allowed.

    Returns:
        The same after it, and the weight of the revision: p, the remainder where it is a token's last, 0 after that.
    """
    runs = ~pondering.halted
    left = 1 - pondering.probability
    stops = runs if last else runs & (pondering.probability + probability > 1 - HALTING_EPSILON)
    weight = torch.where(stops, left, torch.where(runs, probability, 0.0))
    after = Pondering(
        pondering.halted | stops,
        pondering.probability + torch.where(runs & ~stops, probability, 0.0),
        torch.where(stops, left, pondering.remainder),
        pondering.updates + runs.to(probability.dtype),
    )
    return after, weight


@register(
    "universal_transformer",
    config=UniversalTransformerConfig,
    paper="Dehghani et al., 2019",
    year=2019,
    bibtex=BIBTEX,
)
class UniversalTransformer(WholeSequence):
    """Universal Transformer over the nodes; what a token is, `WholeSequence` says."""

    Config: ClassVar[type[ProcessorConfig]] = UniversalTransformerConfig
    config: UniversalTransformerConfig

    def __init__(self, config: UniversalTransformerConfig) -> None:
        """Make the layer and the halting unit; without sines of positions the order of the nodes is not read."""
        super().__init__(config)
        self.ordered = config.positions == "sines"
        ff_size = config.ff_size or 4 * self.hidden_size
        self.layer = AttentionLayer(self.hidden_size, heads=config.heads, ff_size=ff_size, norm_first=False)
        self.halting = nn.Linear(self.hidden_size, 1) if config.act else None
        if self.halting is not None:
            nn.init.constant_(self.halting.bias, HALTING_BIAS)

    def forward(self, inputs: Inputs, hidden: Latents, topology: Topology, state: State) -> Step:
        """All revisions; see `Processor.forward`."""
        sequence, mask = self.read(inputs, hidden, topology)
        output, penalties = self._revise(sequence, mask)
        return Step(Latents(topology.from_sequence(output)), state, penalties=penalties)

    def _revise(self, sequence: Tensor, mask: Tensor | None) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The output at all tokens, and the penalty."""
        output = torch.zeros_like(sequence)
        exists = sequence.new_ones(sequence.shape[:2], dtype=torch.bool) if mask is None else mask
        nothing = torch.zeros_like(sequence[..., 0])
        pondering = Pondering(~exists, nothing, nothing, nothing)
        for revision in range(1, self.config.max_steps + 1):
            marked = sequence + self._signal(sequence, revision)
            sequence = self.layer(marked, mask)
            if self.halting is None:
                continue
            probability = self.halting(marked).squeeze(-1).sigmoid()
            pondering, weight = ponder(pondering, probability, last=revision == self.config.max_steps)
            share = weight[..., None]
            kept = 1 - share if self.config.output == "interpolated" else 1.0
            output = share * sequence + kept * output
            if not torch.compiler.is_compiling() and bool(pondering.halted.all()):
                break
        if self.halting is None:
            return sequence, {}
        cost = torch.where(exists, pondering.updates + pondering.remainder, 0.0).sum(1) / exists.sum(1)
        return output, {"ponder": self.config.ponder_weight * cost}

    def _signal(self, sequence: Tensor, revision: int) -> Tensor:
        """P_t: sines of the revision, and of the positions if they are read (eqs. 6 and 7)."""
        times = torch.tensor([revision], device=sequence.device)
        signal = sines(times, self.hidden_size)
        if self.ordered:
            signal = signal + sines(torch.arange(sequence.shape[1], device=sequence.device), self.hidden_size)
        return signal.to(sequence.dtype)
