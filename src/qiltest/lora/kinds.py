"""What a file is that is not a LoRA of Qwen-Image's transformer, in one sentence with the way out.

The names are those that LyCORIS, kohya's scripts, peft, diffusers, ComfyUI and nunchaku write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.lora.keys import Part, module_after_prefix
from qiltest.text.escape import one_line

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from qiltest.lora.bases import Base
    from qiltest.lora.keys import Key
    from qiltest.lora.safetensors_file import SafetensorsFile

#: tensors of a text encoder's LoRA: diffusers takes none of them for Qwen-Image.
_TEXT_ENCODER = re.compile(r"text_encoder(_\d)?\.|lora_te\d?_|te\d?\.|cond_stage_model\.|conditioner\.")
_MERGE = "convert it to a LoRA, or merge it into the base with its trainer's tool and test that folder"
_MERGED = "`weight + alpha / rank * up @ down`, the way that images are generated here,"
#: what a tensor's name says of the file: (pattern, kind, why it is refused and what to do), the first that matches.
_NAMED: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(pattern), kind, why)
    for pattern, kind, why in (
        (r"\.lokr_", "a LoKr (Kronecker products)", f"diffusers does not load it into Qwen-Image; {_MERGE}"),
        (r"\.hada_", "a LoHa (Hadamard products)", f"diffusers does not load it; {_MERGE}"),
        (r"\.(oft_|boft_)", "an OFT (orthogonal rotations)", f"diffusers does not load it; {_MERGE}"),
        (r"\.on_input$", "an IA3 (rescaled activations)", f"diffusers does not load it; {_MERGE}"),
        (r"\.lora_mid\.", "a LoCon with a middle factor (lora_mid)", f"diffusers does not load it; {_MERGE}"),
        (
            r"\.lora_magnitude_vector",
            "a DoRA",
            f"its magnitudes rescale the base's weights, and {_MERGED} has none; train or export it without DoRA, or "
            "merge it into the base and test that folder",
        ),
        (
            r"\.dora_scale$",
            "a DoRA",
            "diffusers drops its magnitudes and generates other images than its trainer; export it without DoRA, or "
            "merge it into the base and test that folder",
        ),
        (
            r"\.lora_B(\.\w+)?\.bias$",
            "a LoRA with biases (lora_B.bias)",
            f"{_MERGED} has none; train or export it without lora_bias, or merge it into the base and test that folder",
        ),
        (
            r"\.(diff|diff_b|set_weight)$",
            "differences of whole weights (`.diff`)",
            "diffusers loads no file that has them; extract a LoRA without them, or merge the file into the base and "
            "test that folder",
        ),
    )
)
#: modules of other models: (pattern, model), the first that matches.
_FAMILIES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"individual_token_refiner|context_embedder\.token_refiner", "HunyuanVideo"),
        (r"single_transformer_blocks|(single|double)_blocks[._]\d", "FLUX"),
        (r"(^|[._])(input_blocks|output_blocks|middle_block|down_blocks|up_blocks|mid_block)[._]", "Stable Diffusion"),
        (r"joint_blocks[._]\d|transformer_blocks[._]\d+[._]ff_context", "Stable Diffusion 3 or FLUX"),
        (r"(^|\.|lora_unet_)blocks[._]\d+[._](self_attn|cross_attn|attn[12]|ffn)[._]", "Wan"),
        (r"transformer_blocks[._]\d+[._]attn[12][._]", "LTX-Video"),
        (
            r"(^|\.|lora_unet_)(layers|noise_refiner|context_refiner)[._]\d+[._](attention|feed_forward|adaLN)",
            "Z-Image or Lumina",
        ),
        (r"img_mlp[._](gate_layer|proj|out)\.|(^|\.|lora_unet_)modulation[._]1\.", "Qwen-Image-2.1"),
        (r"model[._]layers[._]\d+[._](self_attn|mlp)[._]", "a language model"),
    )
)
_WEIGHTS = re.compile(r"\.(weight|qweight)$")
_ADAPTER_NAME = re.compile(r"\.lora_(?:A|B|down|up)\.(?!default\.)([\w-]+)\.weight$")


@dataclass(frozen=True, kw_only=True)
class Tensors:
    """The tensors of a file as kinds are told apart by them."""

    file: SafetensorsFile
    base: Base
    keys: Sequence[Key]
    #: names with no LoRA ending.
    unparsed: Sequence[str]
    #: names of a text encoder's tensors.
    encoder: Sequence[str]
    #: diffusers rewrites the keys, and multiplies every factor by alpha / rank.
    rewritten: bool


def of_text_encoder(raw: str) -> bool:
    """Return whether a tensor belongs to a text encoder."""
    return _TEXT_ENCODER.match(raw) is not None


def refused_kind(tensors: Tensors) -> str | None:
    """Return why a file is refused whatever its values, None for a LoRA of the base's transformer."""
    return (
        _by_name(tensors.file.tensors)
        or _family(tensors)
        or _other_contents(tensors)
        or _dtype(tensors)
        or _spelling(tensors)
    )


def _by_name(names: Collection[str]) -> str | None:
    found = ((name, kind, why) for pattern, kind, why in _NAMED for name in names if pattern.search(name))
    name, kind, why = next(found, ("", "", ""))
    return f"{kind}, such as {_shown(name)}: {why}" if kind else None


def _family(tensors: Tensors) -> str | None:
    own = tensors.base.modules
    names = [*(key.raw for key in tensors.keys if key.module not in own), *tensors.unparsed]
    for pattern, family in _FAMILIES:
        name = next((name for name in names if pattern.search(name)), None)
        if name is not None:
            return (
                f"a file of {family}, whose modules have names such as {_shown(name)}, not of Qwen-Image: take the "
                "release made for this base"
            )
    return None


def _other_contents(tensors: Tensors) -> str | None:
    if tensors.keys:
        return None
    weights = next((name for name in tensors.unparsed if _WEIGHTS.search(name) and ".lora" not in name), None)
    if weights is not None:
        return (
            f"a checkpoint of whole weights, such as a merged model, not a LoRA ({_shown(weights)}): put it into a "
            "folder in diffusers layout, and name that as the model"
        )
    if tensors.encoder and not tensors.unparsed:
        return (
            f"a LoRA of the text encoder alone ({_shown(tensors.encoder[0])}): diffusers applies none of it to "
            "Qwen-Image; take a LoRA of the transformer"
        )
    return None


def _dtype(tensors: Tensors) -> str | None:
    infos = [tensors.file.tensors[key.raw] for key in tensors.keys if key.part is not Part.ALPHA]
    whole = next((info for info in infos if not info.is_float), None)
    if whole is not None:
        return (
            f"quantised factors, such as {_shown(whole.name)} of {whole.dtype}: nothing says by what scale the codes "
            "become values; take the release in bfloat16"
        )
    small = next((info for info in infos if info.dtype.startswith("F8")), None)
    if small is not None and tensors.rewritten:
        return (
            f"factors in 8-bit floats, such as {_shown(small.name)} of {small.dtype}, whose keys diffusers rewrites: "
            "it cannot multiply them by alpha / rank; cast them to bfloat16"
        )
    return None


def _spelling(tensors: Tensors) -> str | None:
    for name in tensors.unparsed:
        if (adapter := _ADAPTER_NAME.search(name)) is not None:
            shown = f"`{one_line(adapter[1])}`"
            return f"keys have the adapter name {shown} ({_shown(name)}), which diffusers does not remove: leave it out"
    for key in tensors.keys:
        if key.module not in tensors.base.modules:
            prefix = module_after_prefix(key, tensors.base)
            if prefix:
                return (
                    f"keys start with `{one_line(prefix)}`, which diffusers does not remove: rename them to start with "
                    "`diffusion_model.`"
                )
    return None


def _shown(name: str) -> str:
    return one_line(name if len(name) <= 120 else f"{name[:120]}…")
