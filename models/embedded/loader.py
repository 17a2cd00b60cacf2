"""The embedded networks as the host's own MODEL, CLIP, VAE and CLIP_VISION, and the classifier.

Weights are looked for in ``embedded/`` below every folder of the host's model type ``mvg`` (models/mvg, or what
extra_model_paths names), then in the ``weights`` folder beside this file. The host is imported inside the functions.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...mvg.domains import BUILT_IN
from ...mvg.embedded_set import FINDINGS, read_findings
from ...mvg.severity_prompt import TEXT
from ..densenet import Classifier, load_densenet
from ..weights import check_shapes, errors_naming, on_meta_device, read_weights
from .architecture import (
    CLIP_TEXT,
    DOWNSCALE,
    build_clip_text,
    build_clip_vision,
    build_unet,
    build_vae,
    check_domain,
    file_name,
)

BUNDLED = Path(__file__).parent / "weights"
SEVERITY = "mvg_severity"
"""The attachment of a MODEL that says how it was trained on severities, as the metadata of its file does."""
LOADED = ("unet", "clip_text", "vae", "clip_vision", "classifier", "seine")


class Embedded(NamedTuple):
    model: Any
    clip: Any
    vae: Any
    clip_vision: Any
    classifier: Classifier
    transition: Any


def register_folder() -> None:
    """Makes models/mvg (and extra_model_paths) a model folder of the host, as every other kind of model has one."""
    import folder_paths

    folder_paths.add_model_folder_path("mvg", str(Path(folder_paths.models_dir) / "mvg"))


def find_weights(part: str, domain: str = "chest_xray") -> Path:
    """The file of one network, in the folders that the module names.

    Args:
        part: the network, of `architecture.FILES`.
        domain: the name of a domain.

    Returns:
        Its path.

    Raises:
        ValueError: it is in none of the folders, or no network draws the domain.
    """
    return _find(file_name(part, domain))


def _find(name: str) -> Path:
    import folder_paths

    folders = []
    if "mvg" in folder_paths.folder_names_and_paths:
        folders = [Path(folder) / "embedded" for folder in folder_paths.get_folder_paths("mvg")]
    path = next((folder / name for folder in [*folders, BUNDLED] if (folder / name).is_file()), None)
    if path is None:
        raise ValueError(
            f"embedded weights: {name} is missing. Put it into models/mvg/embedded, or restore it in "
            f"models/embedded/weights of this extension (git checkout or a fresh clone brings it back)."
        )
    return path


def weight_files(domain: str) -> dict[str, Path]:
    """The files that `load` reads.

    Args:
        domain: the name of a domain.

    Returns:
        network -> path.

    Raises:
        ValueError: as `find_weights`.
    """
    return {part: find_weights(part, domain) for part in LOADED}


def drawn_findings(domain: str) -> tuple[str, ...]:
    """What the embedded networks of a domain were trained to draw, as findings.json beside them says.

    Args:
        domain: one of `architecture.DOMAINS`.

    Returns:
        The findings, in the order of the classifier's outputs.

    Raises:
        ValueError: an unknown domain, or a file that is missing or is not of this form.
    """
    check_domain(domain)
    return read_findings(_find(FINDINGS), domain)


def load(domain: str) -> Embedded:
    """Every embedded network of a domain, wrapped for the host's samplers, offloading and progress.

    Args:
        domain: its name.

    Returns:
        The networks as the host's own types.

    Raises:
        ValueError: a file is missing, or naming the one that holds no such network.
    """
    files = weight_files(domain)
    return Embedded(
        load_model(files["unet"], files["vae"]),
        load_clip(files["clip_text"]),
        load_vae(files["vae"], gray=BUILT_IN[domain].gray),
        load_clip_vision(files["clip_vision"]),
        load_densenet(files["classifier"]),
        load_transition(files["seine"], files["vae"]),
    )


def _check_shapes(path: Path, state: dict[str, torch.Tensor], build: Callable[[], torch.nn.Module]) -> None:
    """ValueError naming the file where its tensors are not those of the network that its config describes."""
    with errors_naming(path):
        with on_meta_device(len(state)):
            network = build()
        check_shapes(state, network)


def _complete(path: Path, missing: list[str]) -> None:
    if missing:
        raise ValueError(f"{path.name}: got no tensor {missing[0]!r} ({len(missing)} missing), want what config names")


def _latent_format(channels: int, metadata: dict[str, str], dimensions: int = 2):
    """The latents of the embedded VAE: pictures, or clips where there are 3 dimensions."""
    import comfy.latent_formats

    class Latent(comfy.latent_formats.LatentFormat):
        latent_channels = channels
        latent_dimensions = dimensions
        scale_factor = 1.0
        spacial_downscale_ratio = DOWNSCALE
        latent_rgb_factors = json.loads(metadata.get("latent_rgb_factors", "null"))
        latent_rgb_factors_bias = json.loads(metadata.get("latent_rgb_factors_bias", "null"))

    return Latent


def load_model(path: Path, vae_path: Path | None = None):
    """The host's SD-1.x UNet: epsilon prediction, SD's scaled-linear betas.

    It runs in fp32: it is small, and inversion is exact only as far as the arithmetic is. Where the file's metadata key
    ``severity`` says that it was trained on severities as numbers, the MODEL carries that along.

    Args:
        path: the file.
        vae_path: where the metadata keys latent_rgb_factors (and _bias) for the live preview are, if anywhere.

    Returns:
        A MODEL.

    Raises:
        ValueError: naming the file where it holds no such network.
    """
    import comfy.model_base
    import comfy.model_management
    import comfy.model_patcher
    import comfy.supported_models

    state, config, metadata = read_weights(path)
    _check_shapes(path, state, lambda: build_unet(config))
    if vae_path is not None:
        metadata = {**read_weights(vae_path)[2], **metadata}
    Latent = _latent_format(config["in_channels"], metadata)

    class EmbeddedSD15(comfy.supported_models.SD15):
        unet_config: dict = {}  # noqa: RUF012 - the host's class attributes
        unet_extra_config: dict = {}  # noqa: RUF012
        latent_format = Latent

        def inpaint_model(self):
            return False

    shape = EmbeddedSD15(config)
    shape.set_inference_dtype(torch.float32, None)
    offload = comfy.model_management.unet_offload_device()
    model = comfy.model_base.BaseModel(shape, model_type=comfy.model_base.ModelType.EPS, device=offload)
    model.diffusion_model.load_state_dict({k: v.float() for k, v in state.items()}, strict=False)
    patcher = comfy.model_patcher.ModelPatcher(
        model, load_device=comfy.model_management.get_torch_device(), offload_device=offload
    )
    if metadata.get("severity") == TEXT:
        patcher.set_attachments(SEVERITY, TEXT)
    return patcher


def load_transition(path: Path, vae_path: Path):
    """SEINE's network on the embedded VAE's latents, in fp32 as the UNet is.

    Args:
        path: the file.
        vae_path: as in `load_model`.

    Returns:
        A MODEL.

    Raises:
        ValueError: naming the file where it holds no such network.
    """
    from ..seine import native
    from ..seine.checkpoint import read_checkpoint

    state, config = read_checkpoint(path)
    latent = _latent_format(config.out_channels, read_weights(vae_path)[2], dimensions=3)
    state = {name: tensor.float() for name, tensor in state.items()}
    return native.wrap(state, config, latent_format=latent, dtype=torch.float32, checked=True)


def expand_token_table(state: dict[str, torch.Tensor], vocabulary: int) -> dict[str, torch.Tensor]:
    """Undoes `architecture.compact_text_embedding`.

    Args:
        state: tensors by name, perhaps with ``token_ids``, ``token_rows`` and ``token_other``.
        vocabulary: rows of the table.

    Returns:
        A copy with the table [vocabulary, width] in their place.

    Raises:
        ValueError: one of the three is missing, or their shapes or numbers do not fit.
    """
    state = dict(state)
    if "token_ids" in state:
        if missing := [name for name in ("token_rows", "token_other") if name not in state]:
            raise ValueError(f"got no tensor {missing[0]!r}, want it beside token_ids")
        ids, rows, other = (state.pop(name) for name in ("token_ids", "token_rows", "token_other"))
        if ids.ndim != 1 or other.ndim != 1 or rows.shape != (len(ids), len(other)):
            raise ValueError("token_rows, token_other: want [tokens, width] and [width], a row for each of token_ids")
        if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
            raise ValueError(f"token_ids: got {int(ids.min())} to {int(ids.max())}, want 0 to {vocabulary - 1}")
        table = other.expand(vocabulary, -1).clone()
        table[ids.long()] = rows
        state["text_model.embeddings.token_embedding.weight"] = table
    return state


def load_clip(path: Path):
    """The host's SD-1.x text tower and tokenizer, at the width of the file.

    It reads severities as numbers where the file's metadata key ``severity`` says that it was trained so.

    Args:
        path: the file.

    Returns:
        A CLIP.

    Raises:
        ValueError: naming the file where it holds no such network, or one of another vocabulary.
    """
    import comfy.sd
    import comfy.sd1_clip
    import comfy.supported_models_base
    import folder_paths

    state, config, metadata = read_weights(path)
    with errors_naming(path):
        if (vocabulary := config.get("vocab_size")) != CLIP_TEXT["vocab_size"]:
            raise ValueError(f"config: got vocab_size {vocabulary!r}, want {CLIP_TEXT['vocab_size']}, the tokenizer's")
        state = expand_token_table(state, vocabulary)
    _check_shapes(path, state, lambda: build_clip_text(config))
    tokenizer = functools.partial(comfy.sd1_clip.SDTokenizer, embedding_size=config["hidden_size"])
    target = comfy.supported_models_base.ClipTarget(
        functools.partial(comfy.sd1_clip.SD1Tokenizer, tokenizer=tokenizer), comfy.sd1_clip.SD1ClipModel
    )
    target.params = {
        "clip_model": comfy.sd1_clip.SDClipModel,
        "textmodel_json_config": dict(config),
        "return_projected_pooled": False,
    }
    clip = comfy.sd.CLIP(target, embedding_directory=folder_paths.get_folder_paths("embeddings"))
    missing, _ = clip.load_sd(state)
    _complete(path, missing)
    if metadata.get("severity") != TEXT:
        return clip
    from ..severity_clip import SeverityCLIP

    return SeverityCLIP.of(clip)


def load_vae(path: Path, *, gray: bool = False):
    """The host's AutoencoderKL, f = 8. It runs in fp32 for the sake of fine texture.

    Args:
        path: the file.
        gray: whether what it decodes has three equal channels: the mean of those that it learned, of which all three
            are a little off in a gray picture.

    Returns:
        A VAE.

    Raises:
        ValueError: naming the file where it holds no such network.
    """
    import comfy.sd

    state, config, _ = read_weights(path)
    _check_shapes(path, state, lambda: build_vae({name: config[name] for name in ("ddconfig", "embed_dim")}))
    params = {"ddconfig": config["ddconfig"], "embed_dim": config["embed_dim"]}
    state = {k: v.float() for k, v in state.items()}
    if gray:
        for name in ("decoder.conv_out.weight", "decoder.conv_out.bias"):
            state[name] = state[name].mean(dim=0, keepdim=True).expand_as(state[name]).contiguous()
    vae = comfy.sd.VAE(sd=state, config={"params": params}, dtype=torch.float32)
    vae.latent_channels = config["embed_dim"]
    vae.downscale_ratio = vae.upscale_ratio = DOWNSCALE
    return vae


def load_clip_vision(path: Path):
    """The host's CLIP image tower, at the size of the file.

    Args:
        path: the file.

    Returns:
        A CLIP_VISION.

    Raises:
        ValueError: naming the file where it holds no such network.
    """
    import comfy.clip_vision

    state, config, _ = read_weights(path)
    _check_shapes(path, state, lambda: build_clip_vision(config))
    vision = comfy.clip_vision.ClipVisionModel(config)
    missing, _ = vision.load_sd(state)
    _complete(path, missing)
    vision.config["name"] = config.get("name", path.stem)
    return vision
