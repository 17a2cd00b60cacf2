"""AUC maximisation: the AUC margin loss and the optimizer PESG (Yuan et al., ICCV 2021, arXiv:2012.03173)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class AUCMLoss(nn.Module):
    """The min-max form of the AUC margin loss, for k findings at once.

    With p the share of positives, s = sigmoid(f(x)), and y = 1 for positives, the mean over pictures of

        F = (s - a)^2 y / p + (s - b)^2 (1 - y) / (1 - p) + 2 alpha (m + s (1 - y) / (1 - p) - s y / p) - alpha^2

    which is the paper's F divided by p (1 - p), so that rare findings weigh as much as frequent ones. Its minimum over
    a, b and maximum over alpha >= 0 is the variance of s among positives, plus that among negatives, plus the square
    of what the distance of their means lacks of the margin m. A soft y in (0, 1) counts as that much of a positive.

    Args:
        positives: p of each finding, [k] in (0, 1).
        margin: m.

    Raises:
        ValueError: a finding has no positive or no negative.
    """

    p: Tensor

    def __init__(self, positives: Tensor, margin: float = 1.0):
        super().__init__()
        if not ((positives > 0) & (positives < 1)).all():
            raise ValueError(f"positives: got {positives.tolist()}, want shares above 0 and below 1")
        self.register_buffer("p", positives.float())
        self.margin = margin
        self.a, self.b, self.alpha = (nn.Parameter(torch.zeros(len(positives))) for _ in range(3))

    def forward(self, scores: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            scores: [n, k] in [0, 1].
            targets: [n, k] in [0, 1].
            weights: [n, k], 0 where nothing is known.

        Returns:
            The mean over findings of the mean over what is known; 0 where nothing is.
        """
        positive, negative = targets / self.p, (1 - targets) / (1 - self.p)
        terms = (scores - self.a).square() * positive + (scores - self.b).square() * negative
        terms = terms + 2 * self.alpha * (self.margin + scores * (negative - positive)) - self.alpha.square()
        known = weights.sum(dim=0)
        means = (terms * weights).sum(dim=0) / known.clamp(min=1)
        return means.sum() / (known > 0).sum().clamp(min=1)


class PESG(torch.optim.Optimizer):
    """Proximal epoch stochastic gradient: descent in v (network, a, b), ascent in alpha (algorithm 1 of the paper).

        v <- v - lr (grad_v F + epoch_decay (v - v_ref) + weight_decay v)
        alpha <- max(alpha + lr grad_alpha F, 0)

    v_ref, the point that v is held to, is the mean of v over the period before, and v at the start in the first one.

    Args:
        primal: parameters v.
        dual: parameters alpha.
        lr: step size of both.
        epoch_decay: strength of the hold.
        weight_decay: of v.
        period: steps between updates of v_ref.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(
        self,
        primal: Iterable[Tensor],
        dual: Iterable[Tensor],
        lr: float = 0.1,
        epoch_decay: float = 0.003,
        weight_decay: float = 1e-5,
        period: int = 1000,
    ):
        for name, value in (("lr", lr), ("epoch_decay", epoch_decay), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name}: got {value}, want 0 or more")
        if period < 1:
            raise ValueError(f"period: got {period}, want 1 or more")
        defaults = {"lr": lr, "epoch_decay": epoch_decay, "weight_decay": weight_decay, "period": period}
        groups = [{"params": list(primal), "dual": False}, {"params": list(dual), "dual": True}]
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One update from the gradients that are there.

        Args:
            closure: evaluates the loss anew, as in torch.

        Returns:
            What it returns.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if group["dual"]:
                    parameter.add_(parameter.grad, alpha=group["lr"]).clamp_(min=0)
                else:
                    self._descend(parameter, group)
        return loss

    def _descend(self, v: Tensor, group: dict[str, Any]) -> None:
        state = self.state[v]
        if not state:
            state.update(reference=v.clone(), total=torch.zeros_like(v), count=0)
        change = v.grad + group["epoch_decay"] * (v - state["reference"]) + group["weight_decay"] * v
        v.sub_(change, alpha=group["lr"])
        state["total"] += v
        state["count"] += 1
        if state["count"] == group["period"]:
            state["reference"] = state["total"] / state["count"]
            state["total"] = torch.zeros_like(v)
            state["count"] = 0
