"""Parse the names of tensors in LoRA files.

A key is prefix + module + ending. Prefixes: none (Lightning), `transformer.` (diffusers), `diffusion_model.`
(ComfyUI), `lora_unet_` (kohya, dots as underscores), `base_model.model.` (peft). Endings: `.lora_down.weight` and
`.lora_up.weight`, or `.lora_A.weight` and `.lora_B.weight` (`A` is down), each perhaps with peft's adapter name
`default` before `weight`, or `.lora.down.weight` and `.lora.up.weight` (older diffusers), and `.alpha`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qiltest.lora.bases import Base


class Part(StrEnum):
    """Which factor of a module's delta `alpha / rank * up @ down` a tensor is."""

    DOWN = "down"
    UP = "up"
    ALPHA = "alpha"


class Prefix(StrEnum):
    """How module names begin. The value is the text itself."""

    NONE = ""
    TRANSFORMER = "transformer."
    DIFFUSION_MODEL = "diffusion_model."
    LORA_UNET = "lora_unet_"
    PEFT = "base_model.model."

    @property
    def shown(self) -> str:
        """The prefix as shown to people."""
        return self.value or "(none)"


class Naming(StrEnum):
    """How the two factors are called."""

    DOWN_UP = "lora_down/lora_up"
    A_B = "lora_A/lora_B"
    OLD = "lora.down/lora.up"
    MIXED = "mixed"
    NEITHER = "none"


#: diffusers removes these where they stand, and needs them on one key only.
REMOVED = frozenset((Prefix.NONE, Prefix.DIFFUSION_MODEL, Prefix.LORA_UNET))
#: ending -> part, and the naming it belongs to (None: both).
_ENDINGS: tuple[tuple[str, Part, Naming | None], ...] = (
    (".lora_down.weight", Part.DOWN, Naming.DOWN_UP),
    (".lora_up.weight", Part.UP, Naming.DOWN_UP),
    (".lora_A.weight", Part.DOWN, Naming.A_B),
    (".lora_B.weight", Part.UP, Naming.A_B),
    (".lora_A.default.weight", Part.DOWN, Naming.A_B),
    (".lora_B.default.weight", Part.UP, Naming.A_B),
    (".lora_down.default.weight", Part.DOWN, Naming.DOWN_UP),
    (".lora_up.default.weight", Part.UP, Naming.DOWN_UP),
    (".lora.down.weight", Part.DOWN, Naming.OLD),
    (".lora.up.weight", Part.UP, Naming.OLD),
    (".alpha", Part.ALPHA, None),
)


#: a prefix that no format has, and a module's name in either spelling.
_ANY_PREFIX = re.compile(r"(.{1,80}?)(transformer_blocks[._]\d.*)")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A parsed tensor name. `module` is dotted, whatever the file's format."""

    raw: str
    prefix: Prefix
    module: str
    part: Part
    naming: Naming | None


def parse_key(raw: str, base: Base) -> Key | None:
    """Parse a tensor name; None where its ending is not that of a LoRA tensor."""
    for ending, part, naming in _ENDINGS:
        if raw.endswith(ending):
            prefix, module = _split_prefix(raw.removesuffix(ending), base)
            return Key(raw=raw, prefix=prefix, module=module, part=part, naming=naming)
    return None


def _split_prefix(name: str, base: Base) -> tuple[Prefix, str]:
    for prefix in (Prefix.DIFFUSION_MODEL, Prefix.PEFT, Prefix.TRANSFORMER):
        if name.startswith(prefix.value):
            return prefix, name.removeprefix(prefix.value)
    if name.startswith(Prefix.LORA_UNET.value):
        flat = name.removeprefix(Prefix.LORA_UNET.value)
        return Prefix.LORA_UNET, base.flat_names.get(flat, flat)
    return Prefix.NONE, name


def beside_lora_unet(key: Key, base: Base) -> Key:
    """Return a key of a file in which another starts with `lora_unet_`, as diffusers reads it.

    It takes all names for kohya's: those without the prefix too, in either spelling. A dotted name outside the blocks
    loses its beginning, so that no module has it, unless it is one of three.
    """
    if key.prefix not in REMOVED or key.prefix is Prefix.LORA_UNET:
        return key
    module = base.flat_names.get(key.module, key.module)
    if "." in key.module and not key.module.startswith("transformer_blocks."):
        module = f"transformer_blocks.{key.module[len('transformer_blocks_') :]}"
    return replace(key, module=module)


def module_after_prefix(key: Key, base: Base) -> str | None:
    """Return what stands before the name of a module of the base in a key that does not begin as any known format."""
    found = _ANY_PREFIX.match(key.module)
    if found is None or key.prefix is not Prefix.NONE:
        return None
    name = found[2]
    return found[1] if name in base.modules or name in base.flat_names else None


def ignored_by_diffusers(prefix: Prefix, naming: Naming, *, has_alpha: bool, has_default: bool = False) -> str | None:
    """Return why `QwenImagePipeline.load_lora_weights` of diffusers 0.42 does not apply such a file, or None.

    Its `lora_state_dict` rewrites keys only where it sees an alpha, `diffusion_model.`, `lora_unet_` or `default.`;
    what is not rewritten counts only with `transformer.`, and what is rewritten gets that prefix, even a second
    time, and must be named lora_down/lora_up or lora_A/lora_B throughout. A test compares this with the installed
    diffusers.
    """
    marked = has_alpha or has_default
    if prefix is Prefix.PEFT:
        return "keys start with `base_model.model.`: strip that prefix, and start them with `transformer.`"
    if naming is Naming.OLD and (prefix is not Prefix.TRANSFORMER or marked):
        return "keys are named lora.down/lora.up, which diffusers accepts only with `transformer.` and without alphas"
    if prefix is Prefix.NONE and not marked:
        return (
            "keys have neither a prefix nor alphas, so diffusers does not assign them to the transformer: start them "
            "with `diffusion_model.`"
        )
    if prefix is Prefix.TRANSFORMER and marked:
        what = "alphas" if has_alpha else "the adapter name `default`"
        return (
            f"keys start with `transformer.` and have {what}: diffusers adds the prefix a second time; remove the "
            "prefix"
        )
    if naming is Naming.MIXED:
        return "keys are named in several ways: diffusers takes one of them; name all lora_A/lora_B"
    if prefix is Prefix.TRANSFORMER and naming is Naming.DOWN_UP:
        return "keys start with `transformer.` but are named lora_down/lora_up: name them lora_A/lora_B"
    return None
