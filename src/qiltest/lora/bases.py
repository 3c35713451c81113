"""The linear modules of a Qwen-Image transformer and their shapes, computed from its config.

Names and shapes follow diffusers' `QwenImageTransformer2DModel.__init__`; a test compares them with the real class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

from qiltest.errors import RecipeError
from qiltest.strict_json import StrictJsonError, parse_file

#: the sinusoidal timestep embedding's width, fixed in `QwenTimestepProjEmbeddings`.
_TIMESTEP_CHANNELS = 256
#: modules of the last block whose output nothing uses: the image comes from the image stream alone.
_UNUSED_IN_LAST_BLOCK = ("attn.add_q_proj", "attn.to_add_out", "txt_mlp.net.0.proj", "txt_mlp.net.2")
#: LoRAs of up to this rank are made for bases of any size.
_ORDINARY_RANK = 256
#: most bytes of a transformer's config.json; Qwen-Image's has 400.
_CONFIG_LIMIT = 1_000_000
#: of numbers in a config; Qwen-Image has 60 layers, and no number above 3,584.
_MOST_LAYERS, _MOST_WIDTH = 1_000, 65_536
BLOCK = re.compile(r"transformer_blocks\.(\d+)\.(.+)")


@dataclass(frozen=True, kw_only=True)
class KnownLora:
    """A LoRA file that is known to have been trained on a model."""

    model: str
    #: short name, such as `8step`.
    name: str
    #: as a user names it beside its model, such as `embedded::8step`.
    source: str
    path: Path


@dataclass(frozen=True, kw_only=True)
class Base:
    """The numbers of a base model's config that decide its modules and shapes."""

    name: str
    #: models with the same modules, which a LoRA file cannot tell apart.
    also: tuple[str, ...] = ()
    #: LoRAs of this model and of others with the same modules: they tell whose a file is (`qiltest.lora.owners`).
    loras: tuple[KnownLora, ...] = ()
    num_layers: int = 60
    attention_head_dim: int = 128
    num_attention_heads: int = 24
    joint_attention_dim: int = 3584
    in_channels: int = 64
    out_channels: int = 16
    patch_size: int = 2

    @cached_property
    def modules(self) -> dict[str, tuple[int, int]]:
        """Module name -> (out features, in features), in the model's order."""
        width = self.num_attention_heads * self.attention_head_dim
        block = _block_modules(width)
        blocks = {
            f"transformer_blocks.{number}.{name}": shape
            for number in range(self.num_layers)
            for name, shape in block.items()
        }
        return {
            "time_text_embed.timestep_embedder.linear_1": (width, _TIMESTEP_CHANNELS),
            "time_text_embed.timestep_embedder.linear_2": (width, width),
            "img_in": (width, self.in_channels),
            "txt_in": (width, self.joint_attention_dim),
            **blocks,
            "norm_out.linear": (2 * width, width),
            "proj_out": (self.patch_size**2 * self.out_channels, width),
        }

    @cached_property
    def flat_names(self) -> dict[str, str]:
        """`transformer_blocks_0_attn_to_q` -> `transformer_blocks.0.attn.to_q`: kohya's names."""
        return {name.replace(".", "_"): name for name in self.modules}

    @cached_property
    def most_rank(self) -> int:
        """The largest rank that is inspected: what a module's weights can have, or an ordinary one.

        A LoRA may have more than that of a small module: it has one rank for large ones and small ones.
        """
        return max(_ORDINARY_RANK, *(min(shape) for shape in self.modules.values()))

    @cached_property
    def unused(self) -> frozenset[str]:
        """Modules that cannot change the image: a LoRA may leave them at zero."""
        return frozenset(f"transformer_blocks.{self.num_layers - 1}.{name}" for name in _UNUSED_IN_LAST_BLOCK)


def _block_modules(width: int) -> dict[str, tuple[int, int]]:
    attention = ("to_q", "to_k", "to_v", "add_k_proj", "add_v_proj", "add_q_proj", "to_out.0", "to_add_out")
    modules = {"img_mod.1": (6 * width, width), "txt_mod.1": (6 * width, width)}
    modules |= {f"attn.{name}": (width, width) for name in attention}
    for stream in ("img", "txt"):
        modules[f"{stream}_mlp.net.0.proj"] = (4 * width, width)
        modules[f"{stream}_mlp.net.2"] = (width, 4 * width)
    return modules


def qwen_image() -> Base:
    """Return Qwen-Image at full size: 60 blocks of width 3072."""
    also = ("Qwen-Image-2512", "Qwen-Image-Edit", "Qwen-Image-Edit-2509", "Qwen-Image-Edit-2511")
    return Base(name="qwen-image", also=also)


def base_from_folder(folder: Path, *, name: str | None = None, kind: type[Base] = Base) -> Base:
    """Read `transformer/config.json` of a diffusers folder; missing numbers get their default. Raises RecipeError.

    `kind` is the class of the family's bases.
    """
    path = folder / "transformer" / "config.json"
    try:
        config = parse_file(path, most=_CONFIG_LIMIT)
        if not isinstance(config, dict):
            raise StrictJsonError("not a JSON object")
    except (OSError, StrictJsonError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or error  # str(OSError) repeats the path
        raise RecipeError(
            f"cannot read the transformer config: {why}",
            where=str(path),
            remedy="name tiny, qwen-image or a folder in diffusers layout",
        ) from error
    names = [field.name for field in fields(kind) if field.type == "int"]
    numbers = {key: config[key] for key in names if config.get(key) is not None}
    for key, value in numbers.items():
        most = _MOST_LAYERS if key == "num_layers" else _MOST_WIDTH
        if type(value) is not int or not 0 < value <= most:
            what = f"`{key}` is {str(value)[:40]}, not a whole number from 1 to {most:,}"
            raise RecipeError(what, where=str(path), remedy="name the folder of a Qwen-Image model")
    return kind(name=name or folder.name, **numbers)
