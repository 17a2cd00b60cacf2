"""SEINE's speed and memory with random weights: ``run.py bench seine_speed [--full] [--device cuda]``.

Without options: a middle size (about a quarter of the released widths), the same network twice in one process, once
with fused attention (SDPA, what models/seine uses) and once with plain attention of the same math, on 16 frames of
256 x 256. --full: the released size: load time from a safetensors file, peak memory and seconds a step (one call of
the network for a clip, and of both halves of guidance), on the CPU at 256 x 256 in fp32; on a GPU at 512 x 512 in fp16,
with both halves of guidance in one batch and one after the other.

Memory of the CPU is the resident peak of the process, which Linux alone tells for every figure by itself.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...models.seine import attention
from ...models.seine.config import Config
from ...models.seine.unet import UNet3D
from ...models.standalone_host import use_host

MIDDLE = replace(Config(), block_out_channels=(96, 160, 320, 320), heads=(3, 4, 8, 8))
FRAMES, TOKENS = 16, 77


def plain_attention(q: Tensor, k: Tensor, v: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """What SDPA computes, written out: the scores [rows, heads, n, m] stand in memory."""
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ v


def inputs(config: Config, side: int, batch: int, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """A clip of 16 frames of side x side pixels, a time step, 77 tokens."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randn(batch, config.in_channels, FRAMES, side // 8, side // 8, generator=generator)
    text = torch.randn(batch, TOKENS, config.cross_attention_dim, generator=generator)
    return clip.to(device, dtype), torch.full((batch,), 500, device=device), text.to(device, dtype)


def seconds(call: Callable[[], object], repeats: int, device: str) -> float:
    """Median of `repeats` calls after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        if device == "cuda":
            torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def forget_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak(device: str) -> float:
    """GB since `forget_peak`, weights included."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    if sys.platform != "linux":
        return float("nan")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e9


@torch.inference_mode()
def side_by_side(side: int, repeats: int, device: str) -> None:
    torch.manual_seed(0)
    network = UNet3D(MIDDLE, device=device).eval()
    given = inputs(MIDDLE, side, 1, device, torch.float32)
    count = sum(p.numel() for p in network.parameters())
    print(f"middle size, {count / 1e6:.0f} M parameters, {FRAMES} frames of {side} x {side}, fp32, {device}")
    fused: Any = attention.scaled_dot_product_attention
    out, speed = {}, {}
    for name, function in (("SDPA", fused), ("plain", plain_attention)):
        attention.scaled_dot_product_attention = function  # type: ignore[assignment]
        try:
            forget_peak(device)
            out[name] = network(*given)
            speed[name] = seconds(lambda: network(*given), repeats, device)
        finally:
            attention.scaled_dot_product_attention = fused
        print(f"  {name:6} {speed[name]:8.3f} s a call   peak memory {peak(device):.2f} GB")
    error = float((out["SDPA"] - out["plain"]).abs().max())
    print(f"  plain over SDPA {speed['plain'] / speed['SDPA']:.2f}, outputs differ by {error:.1e} at most")


@torch.inference_mode()
def full(side: int, repeats: int, device: str, dtype: torch.dtype) -> None:
    """The released size as the host's MODEL, loaded from a file as the node loads it."""
    use_host()
    import comfy.cli_args

    comfy.cli_args.args.cpu = device == "cpu"  # also where there is a GPU
    import comfy.model_management
    from safetensors.torch import save_file

    from ...models.seine import native

    config = Config()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "seine.safetensors"
        torch.manual_seed(0)
        state = {name: t.to(dtype) for name, t in UNet3D(config).state_dict().items()}
        save_file(state, path, metadata={"config": json.dumps(config.values)})
        size = path.stat().st_size / 1e9
        del state
        forget_peak(device)
        began = time.perf_counter()
        model = native.load(path, dtype)
        comfy.model_management.load_models_gpu([model])
        took = time.perf_counter() - began
    count = sum(p.numel() for p in model.model.diffusion_model.parameters())
    kind = str(dtype).removeprefix("torch.")
    print(f"full size, {count / 1e6:.0f} M parameters, {FRAMES} frames of {side} x {side}, {kind}, {device}")
    print(f"  load {took:.2f} s ({size:.2f} GB file), peak memory {peak(device):.2f} GB")
    forget_peak(device)
    network = model.model.diffusion_model
    one = inputs(config, side, 1, device, dtype)
    call = seconds(lambda: network(*one), repeats, device)
    print(f"  one call {call:.3f} s, peak memory {peak(device):.2f} GB")
    print(f"  a step of guidance, two calls {2 * call:.3f} s")
    two = inputs(config, side, 2, device, dtype)
    batched = seconds(lambda: network(*two), repeats, device)
    print(f"  a step of guidance, one batch {batched:.3f} s, peak memory {peak(device):.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench seine_speed", description=__doc__)
    parser.add_argument("--full", action="store_true", help="the released size, 0.9 billion parameters")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--side", type=int, help="pixels (default 256; 512 for --full on a GPU)")
    parser.add_argument("--repeats", type=int, default=3, help="calls that are timed, the median counts")
    parser.add_argument("--threads", type=int, help="of the CPU (default: torch's)")
    options = parser.parse_args()
    if options.side is not None and (options.side < 8 or options.side % 8):
        parser.error("--side wants a multiple of 8")
    if options.repeats < 1:
        parser.error("--repeats wants an integer >= 1")
    if options.threads:
        torch.set_num_threads(options.threads)
    gpu = options.device == "cuda"
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name() if gpu else f'{torch.get_num_threads()} threads'}")
    if options.full:
        side = options.side or (512 if gpu else 256)
        full(side, options.repeats, options.device, torch.float16 if gpu else torch.float32)
    else:
        side_by_side(options.side or 256, options.repeats, options.device)


if __name__ == "__main__":
    main()
