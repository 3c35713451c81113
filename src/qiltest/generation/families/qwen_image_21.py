"""Qwen-Image-2.1: `QwenImage21Pipeline`, one stream, Qwen3-VL as text encoder, a VAE of four channels.

Text to image alone: the pipeline can be given images too, which is not done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qiltest.generation.families.family import Family
from qiltest.generation.families.qwen_image import unpacked
from qiltest.generation.schedule import QWEN_IMAGE
from qiltest.lora.bases import Base, base_from_folder
from qiltest.recipe import EditPrompt, Prompt, Recipe, Size

if TYPE_CHECKING:
    import torch

_PARTS = ("scheduler", "vae", "text_encoder", "processor", "transformer")


@dataclass(frozen=True, kw_only=True)
class Base21(Base):
    """The numbers of a 2.1 transformer's config that decide its modules; no module has a part that nothing uses."""

    num_layers: int = 32
    num_attention_heads: int = 32
    out_channels: int = 64
    patch_size: int = 1
    context_in_dim: int = 4096
    mlp_ratio: int = 3

    @cached_property
    def modules(self) -> dict[str, tuple[int, int]]:
        """Module name -> (out features, in features)."""
        width = self.num_attention_heads * self.attention_head_dim
        inner = self.mlp_ratio * width
        block = {f"attn.{name}": (width, width) for name in ("to_q", "to_k", "to_v", "to_out.0")}
        block |= {"img_mlp.proj": (inner, width), "img_mlp.out": (width, inner), "img_mlp.gate_layer": (inner, width)}
        return {
            "time_text_embed.timestep_embedder.linear_1": (width, 256),
            "time_text_embed.timestep_embedder.linear_2": (width, width),
            "txt_in.in_layer": (width, self.context_in_dim),
            "txt_in.out_layer": (width, width),
            "img_in": (width, self.in_channels * self.patch_size**2),
            "modulation.1": (4 * width, width),
            **{
                f"transformer_blocks.{k}.{name}": shape for k in range(self.num_layers) for name, shape in block.items()
            },
            "norm_out.linear": (width, width),
            "proj_out": (self.patch_size**2 * self.out_channels, width),
        }

    @cached_property
    def flat_names(self) -> dict[str, str]:
        """Kohya's names, without those that diffusers' loader, made for Qwen-Image, turns into names of no module."""
        lost = ("gate_layer",), ("txt_in.", "modulation.")
        names = (name for name in self.modules if not (name.endswith(lost[0]) or name.startswith(lost[1])))
        return {name.replace(".", "_"): name for name in names}

    @cached_property
    def unused(self) -> frozenset[str]:
        """Nothing: prompt and image share each module."""
        return frozenset()


class QwenImage21(Family):
    """Qwen-Image-2.1 and Qwen-Image-2.1-Turbo."""

    name = "qwen-image-2.1"
    pipeline = "QwenImage21Pipeline"
    release = "Qwen/Qwen-Image-2.1"
    classes: ClassVar[dict[str, str]] = {
        "transformer": "QwenImage21Transformer2DModel",
        "vae": "AutoencoderKLQwenImage21",
        "text_encoder": "Qwen3VLForConditionalGeneration",
        "processor": "Qwen3VLProcessor",
        "scheduler": "FlowMatchEulerDiscreteScheduler",
    }
    vocabulary = "processor"
    #: Qwen-Image's: no source shows 2.1's own, and neither latency nor memory depends on it.
    scheduler = QWEN_IMAGE
    size_multiple = 32

    def base(self) -> Base:
        """Return the modules of Qwen-Image-2.1 at full size."""
        return Base21(name=self.name)

    def base_of_folder(self, folder: Path, *, name: str) -> Base:
        """Return the modules of a folder's transformer."""
        return base_from_folder(folder, name=name, kind=Base21)

    def text_width(self, base: Base) -> int:
        """Return the channels of Qwen3-VL's states."""
        assert isinstance(base, Base21)
        return base.context_in_dim

    def assemble(self, **parts: Any) -> Any:  # noqa: ANN401
        """Return a QwenImage21Pipeline; without a processor it encodes nothing, but its class asks for one."""
        from diffusers import QwenImage21Pipeline

        made = QwenImage21Pipeline(**{**dict.fromkeys(_PARTS), "processor": _NoProcessor(), **parts})
        if "processor" not in parts:
            made.register_modules(processor=None)
        return made

    def load_vocabulary(self, folder: Path) -> dict[str, Any]:
        """Load the processor."""
        from transformers import Qwen3VLProcessor

        return {"processor": Qwen3VLProcessor.from_pretrained(folder / "processor", local_files_only=True)}

    def template(self) -> str:
        """Return the template; how much of it is dropped, the processor's own files say."""
        found: str = self.assemble().prompt_template_t2i
        return found

    def encode(self, pipeline: Any, prompt: Prompt, *, device: torch.device, longest: int) -> torch.Tensor:  # noqa: ANN401
        """Encode a prompt of text alone, whole."""
        assert not isinstance(prompt, EditPrompt)
        assert not longest
        embeds: torch.Tensor = pipeline.encode_prompt(prompt=[prompt], device=device)[0]
        return embeds

    def arguments(self, recipe: Recipe, prompt: torch.Tensor, negative: torch.Tensor | None) -> dict[str, Any]:
        """Return embeddings and true CFG: without a mask no token is masked, and none stands for an image."""
        return {
            "prompt_embeds": prompt,
            **({} if negative is None else {"negative_prompt_embeds": negative}),
            "true_cfg_scale": recipe.true_cfg_scale,
        }

    def decode(self, pipeline: Any, latents: torch.Tensor, size: Size) -> torch.Tensor:  # noqa: ANN401
        """Undo the latents' normalisation and decode them; the image has a fourth channel, its opacity."""
        spread, mean, std = unpacked(pipeline, latents, size)
        decoded: torch.Tensor = pipeline.vae.decode(spread * std + mean, return_dict=False)[0]
        return decoded[:, :, 0]

    def image_operations(self, base: Base, recipe: Recipe, *, text_tokens: int, negative_tokens: int) -> int:
        """Count as `QwenImage` does; the first step sees prompt and image, each later one the image's tokens alone."""
        image, rank = self.tokens(recipe.effective), self.lora_rank(recipe)
        lengths = [text_tokens, *([negative_tokens] if recipe.nfe > recipe.steps else [])]
        first = sum(_forward(base, image, image + text, text, rank) for text in lengths)
        later = sum(_forward(base, image, image, text, rank) for text in lengths)
        return first + (recipe.steps - 1) * later


def _forward(base: Base, image: int, joint: int, text: int, rank: int) -> int:
    """Return the operations of a forward whose blocks see `joint` tokens, of `image` and perhaps of the prompt."""
    total = 0
    for name, (rows, columns) in base.modules.items():
        in_block = name.startswith("transformer_blocks.")
        once = name.startswith(("time_text_embed.", "modulation.", "norm_out."))  # for the step, and for time 0
        tokens = 2 if once else text if name.startswith("txt_in.") else image if name == "img_in" else joint
        total += 2 * tokens * rows * columns
        total += 2 * tokens * rank * (rows + columns) if in_block else 0
    width = base.num_attention_heads * base.attention_head_dim
    pairs = image * (image + text) + (text * text if joint > image else 0)
    return total + base.num_layers * 4 * pairs * width


class _NoProcessor:
    """In place of a processor where no prompt is encoded."""

    def __init__(self) -> None:
        self.tokenizer = self

    def apply_chat_template(self, *_: object, **__: object) -> list[list[int]]:
        """Return a template of no tokens."""
        return [[]]

    def encode(self, _text: str) -> list[int]:
        """Return a token that stands for no image."""
        return [-1]
