"""Say which model a LoRA file was trained on, where several have the same modules and shapes.

No name and no shape tells those apart. A file is told by its SHA-256, or by its delta, where that is the one of a LoRA
that is known: a copy in another dtype, with other names or another strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qiltest.errors import RecipeError
from qiltest.lora.likeness import SAME_RUN, compare
from qiltest.lora.safetensors_file import lora_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from qiltest.lora.bases import Base, KnownLora


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The model that a file was trained on, by a LoRA that is known to be of that model."""

    lora: KnownLora
    #: cosine of the two deltas; None where the file is that LoRA, byte for byte.
    cosine: float | None = None

    @property
    def model(self) -> str:
        """The model's name."""
        return self.lora.model

    def fault(self, base: Base) -> str | None:
        """Return why the file is none of `base`; None where it is one."""
        if self.model == base.name:
            return None
        what = f"the {self.lora.name} LoRA of {self.model}"
        told = f"this is {what} by its SHA-256"
        if self.cosine is not None:
            told = f"its delta is that of {what} (cosine {self.cosine:.3f})"
        return f"{told}, and {base.name} is another model with the same modules and shapes"

    def remedy(self, base: Base) -> str:
        """Return what to do about a file that is none of `base`."""
        own = next((lora.source for lora in base.loras if lora.model == base.name), None)
        such = f", such as {own}" if own else ""
        return f"take a LoRA that was trained on {base.name}{such}, or generate with {self.model}"


def owner_of(path: Path, sha256: str, base: Base) -> Owner | None:
    """Return the model that a LoRA file was trained on, by the LoRAs that `base` knows of; None where none tells.

    `sha256` is the file's, "" where it was not hashed. The file is one that fits the base in names and shapes.
    """
    here = [lora for lora in base.loras if lora.path.is_file()]
    for lora in here:
        if lora_sha256(lora.path) == sha256:
            return Owner(lora=lora)
    for lora in here:
        try:
            cosine = compare(path, lora.path, base, reference_sha256="").cosine
        except RecipeError:  # the installation's own file is damaged: it tells nothing
            continue
        if abs(cosine) >= SAME_RUN:  # NaN where nothing can be compared
            return Owner(lora=lora, cosine=cosine)
    return None
