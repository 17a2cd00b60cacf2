"""What a LoRA of the embedded UNet changes: Conf of every finding on pictures drawn with it and without.

Both draw from the same noise and prompt, so the difference is the adapter's; its interval is 1.96 standard errors over
the pairs. Prompts: the finding that the LoRA was trained for, and no finding.
"""

import argparse
from pathlib import Path

import torch

from ...models.embedded.loader import find_weights
from ...mvg.domains import BUILT_IN
from ...training.embedded_model import EmbeddedModel
from ...training.settings import autocast_dtype

STEPS = 20


def merge(network: torch.nn.Module, adapter: dict[str, torch.Tensor], prefix: str) -> None:
    """Adds an adapter of `training.lora` to the weights of its network."""
    for name, down in adapter.items():
        if name.endswith(".lora_down.weight"):
            key = name.removesuffix(".lora_down.weight")
            weight = network.get_parameter(f"{key.removeprefix(prefix)}.weight")
            delta = adapter[f"{key}.lora_up.weight"].flatten(1) @ down.flatten(1)
            weight.data += (adapter[f"{key}.alpha"] / len(down)) * delta.view_as(weight)


def draw(model: EmbeddedModel, prompt: str, count: int, guidance: float) -> torch.Tensor:
    """[count, 128, 128, 3] in [0, 1]."""
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast_dtype("auto", torch.device("cpu")) == "bf16"):
        drawn = model.sample([prompt] * count, model.size, STEPS, guidance)
    return drawn.clamp(0, 1).movedim(1, -1)


def main() -> None:
    from safetensors.torch import load_file

    from ...models.densenet import load_densenet

    parser = argparse.ArgumentParser(prog="run.py bench lora", description=__doc__)
    parser.add_argument("file", type=Path, help="lora.safetensors of run.py train diffusion --method lora")
    parser.add_argument("--finding", required=True, help="that it was trained for")
    parser.add_argument("--domain", choices=tuple(BUILT_IN), default="chest_xray")
    parser.add_argument("--count", type=int, default=32, help="pictures a prompt (default: %(default)s)")
    parser.add_argument("--guidance", type=float, default=2.0, help="(default: %(default)s)")
    options = parser.parse_args()
    domain, adapter = BUILT_IN[options.domain], load_file(options.file)
    plain, adapted = (EmbeddedModel(options.domain, 0.0).eval() for _ in range(2))
    merge(adapted.denoiser, adapter, adapted.lora_prefix)
    judge = load_densenet(find_weights("classifier", options.domain))
    for prompt in (f"{domain.prefix}, {options.finding}", f"{domain.prefix}, {domain.normal[0]}"):
        before, after = (judge.conf(draw(model, prompt, options.count, options.guidance)) for model in (plain, adapted))
        print(f"{prompt!r}, {options.count} pictures: Conf without -> with the LoRA")
        for k, name in enumerate(judge.outputs):
            change = after[:, k] - before[:, k]
            error = 1.96 * float(change.std()) / options.count**0.5
            print(
                f"  {name}: {before[:, k].mean():.3f} -> {after[:, k].mean():.3f} ({change.mean():+.3f} +- {error:.3f})"
            )


if __name__ == "__main__":
    main()
