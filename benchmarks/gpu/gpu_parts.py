"""What `gpu_suite.py` and `vendor_way.py` are made of: full-size weights of random values, and a suite to run on them.

Nothing here imports torch when it is imported: a process that only reads images imports this file too.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from qiltest.reading.images import Pixels
from qiltest.reading.records import ReaderInfo, Reading
from qiltest.recipe import Size
from qiltest.suite.cases import Case
from qiltest.suite.load import Suite, load_suite
from qiltest.suite.variants import LoraSource, Variant

if TYPE_CHECKING:
    from diffusers import QwenImagePipeline
    from transformers import Qwen2_5_VLForConditionalGeneration

    from qiltest.generation._generator import DiffusersGenerator
    from qiltest.lora import Base

ROOT = Path(__file__).resolve().parents[2]
#: the cases whose prompts are generated: short and long, English and Chinese.
CASES = ("coffee-shop", "movie-poster", "pi-number", "couplets")
#: those that the embedded model generates beside the vendor's way.
TINY_CASES = ("pi-number", "capybara")
VARIANTS = ("base", "8step", "4step")
RANK = 64
#: Qwen-Image's text encoder, Qwen2.5-VL-7B (its config.json).
_TEXT: dict[str, Any] = {
    "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "max_position_embeddings": 128000,
    "rope_parameters": {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1000000.0},
}  # fmt: skip
_VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
    "fullatt_block_indexes": [7, 15, 23, 31],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Full size on a GPU, or a stand-in on the CPU that takes the same way."""

    dry: bool

    @property
    def device(self) -> str:
        """Device of everything that is generated."""
        return "cpu" if self.dry else "cuda"

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The sizes whose latency is measured: the vendor's square and wide ones, and those of the report."""
        full = (Size(1328, 1328), Size(928, 1664), Size(704, 1280), Size(1280, 1280))
        return tuple(self.size(size) for size in full)

    def size(self, size: Size) -> Size:
        """Return a size as it is generated: a sixteenth of it in the dry run."""
        return Size(max(32, size.width // 16), max(32, size.height // 16)) if self.dry else size

    @property
    def transformer(self) -> dict[str, Any]:
        """Config of the transformer; empty for Qwen-Image's own."""
        if not self.dry:
            return {}
        return {"num_layers": 2, "attention_head_dim": 64, "num_attention_heads": 3, "joint_attention_dim": 192,
                "axes_dims_rope": (8, 28, 28)}  # fmt: skip

    @property
    def vae(self) -> dict[str, Any]:
        """Config of the VAE; empty for Qwen-Image's own."""
        return {"base_dim": 16, "num_res_blocks": 1} if self.dry else {}

    def base(self) -> Base:
        """Return the modules of the transformer."""
        from qiltest.lora import Base, qwen_image

        if not self.dry:
            return qwen_image()
        return Base(name="dry", num_layers=2, attention_head_dim=64, num_attention_heads=3, joint_attention_dim=192)

    def text_encoder(self) -> Qwen2_5_VLForConditionalGeneration:
        """Return a text encoder with random weights, 16 GB in bfloat16 at full size."""
        import torch
        from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

        text, vision = dict(_TEXT), dict(_VISION)
        if self.dry:
            rope = {**_TEXT["rope_parameters"], "mrope_section": [8, 12, 12]}
            text |= {"hidden_size": 192, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 3,
                     "num_key_value_heads": 3, "rope_parameters": rope, "max_position_embeddings": 2048}  # fmt: skip
            vision |= {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 192,
                       "fullatt_block_indexes": [0]}  # fmt: skip
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32 if self.dry else torch.bfloat16)
        try:
            with torch.device(self.device):
                made = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision))
        finally:
            torch.set_default_dtype(before)
        return made.eval().requires_grad_(False)


def generator_of(scale: Scale, **options: Any) -> DiffusersGenerator:  # noqa: ANN401
    """Return the random model's generator; in the dry run one of the same class at a size for a CPU."""
    from qiltest.generation import _load, open_generator
    from qiltest.generation._generator import DiffusersGenerator
    from qiltest.generation.families import qwen_image
    from qiltest.generation.settings import Settings
    from qiltest.generation.sources import resolve_model

    if not scale.dry:
        return open_generator("random", Settings(**options))
    build = getattr(_load.random_pipeline, "full_size", _load.random_pipeline)

    def small(_transformer: object, _vae: object, *rest: Any) -> QwenImagePipeline:  # noqa: ANN401
        return build(scale.transformer, scale.vae, *rest)

    setattr(small, "full_size", build)  # noqa: B010
    setattr(_load, "random_pipeline", small)  # noqa: B010
    setattr(qwen_image, "qwen_image", scale.base)  # noqa: B010
    return DiffusersGenerator(resolve_model("random"), Settings(device="cpu", **options))


def write_lora(path: Path, scale: Scale, *, seed: int) -> Path:
    """Write a LoRA of random values in the Lightning format: bfloat16, rank 64, 12 modules a block, alpha 64."""
    import torch
    from safetensors.torch import save_file

    random = torch.Generator(scale.device).manual_seed(seed)
    tensors = {}
    for name, (rows, columns) in scale.base().modules.items():
        if not name.startswith("transformer_blocks") or "_mod." in name:
            continue
        down = torch.randn(RANK, columns, generator=random, device=scale.device) / columns**0.5
        up = torch.randn(rows, RANK, generator=random, device=scale.device) * 1e-3
        tensors[f"{name}.lora_down.weight"] = down.bfloat16().cpu()
        tensors[f"{name}.lora_up.weight"] = up.bfloat16().cpu()
        tensors[f"{name}.alpha"] = torch.tensor(float(RANK))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"format": "pt"})
    return path


@cache
def the_suite() -> Suite:
    """Return those of the repository's cases that are generated here."""
    with tempfile.TemporaryDirectory() as folder:
        copy_cases(Path(folder))
        return load_suite(Path(folder))


def copy_cases(folder: Path) -> None:
    """Copy the cases that are generated here, and the variants."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*CASES, *TINY_CASES, "variants"):
        shutil.copy(ROOT / "cases" / f"{name}.toml", folder / f"{name}.toml")


def variants_with(loras: dict[str, Path]) -> dict[str, Variant]:
    """Return the report's variants, with files of ours in the place of the released LoRAs."""
    suite = the_suite()
    found = {name: suite.variant(name) for name in VARIANTS}
    return {
        name: replace(variant, loras=(("real", LoraSource(source=str(loras[name]))),)) if name in loras else variant
        for name, variant in found.items()
    }


def case_of(name: str) -> Case:
    """Return one of the suite's cases."""
    return the_suite().case(name)[0]


def write_suite(folder: Path, scale: Scale, loras: dict[str, Path], *, size: Size) -> Path:
    """Write a suite of `CASES`, each at one size, on files of ours; its model and reader are `shared`'s."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    for name in CASES:
        text = (ROOT / "cases" / f"{name}.toml").read_text(encoding="utf-8")
        head, *tables = re.split(r"(?m)^(?=\[\[resolutions\]\])", text)
        first = re.sub(r'(?m)^size = "[0-9x]+"', f'size = "{scale.size(size)}"', tables[0])
        limits = re.search(r"(?ms)^\[limits\].*", tables[-1]) if len(tables) > 1 else None
        (folder / "cases" / f"{name}.toml").write_text(head + first + (limits[0] if limits else ""), encoding="utf-8")
    variants = (ROOT / "cases" / "variants.toml").read_text(encoding="utf-8")
    for name, path in loras.items():
        pattern = rf"(?ms)(^\[{name}\.loras\]\n)real = .*?\n"
        variants = re.sub(pattern, rf"\1real = {{ source = {json.dumps(str(path))} }}\n", variants)
    (folder / "cases" / "variants.toml").write_text(variants, encoding="utf-8")
    write_tests(folder)
    return folder


def write_tests(folder: Path) -> None:
    """Make a folder with cases one that pytest can run, on what `share` gave."""
    (folder / "conftest.py").write_text(_CONFTEST, encoding="utf-8")
    (folder / "test_suite.py").write_text("def test_report_case(qil_case_run):\n    qil_case_run.check()\n")
    (folder / "pytest.ini").write_text("[pytest]\n")


_CONFTEST = """
import gpu_suite_shared as shared
import pytest


@pytest.fixture(scope="session")
def qil_generator():
    yield shared.generator


if shared.open_reader is not None:
    @pytest.fixture(scope="session")
    def qil_open_reader():
        return shared.open_reader
"""


def share(generator: object, open_reader: object = None) -> None:
    """Give the suites that run in this process a generator, and a reader unless theirs is at hand."""
    sys.modules["gpu_suite_shared"] = types.SimpleNamespace(generator=generator, open_reader=open_reader)  # type: ignore[assignment]


class _NoReader:
    """Stands where a reader must be while none is installed: it finds nothing."""

    def __init__(self) -> None:
        self.info = ReaderInfo(name="none", engine="none", version="0", weights_sha256="0" * 64)

    def read(self, _image: Path | bytes) -> Reading:
        """Return a reading without lines."""
        return Reading(reader=self.info, width=1, height=1, lines=(), seconds=0.0)


def no_reader(_name: str = "") -> _NoReader:
    """Return the reader that reads nothing."""
    return _NoReader()


def has_reader() -> bool:
    """Say whether the default reader can be imported here."""
    try:
        import rapidocr  # noqa: F401
    except ImportError:
        return False
    return True


def written(size: Size) -> Pixels:
    """Return pixels with lines of text, for storing and reading what costs as much as an image with text."""
    image = Image.new("RGB", (size.width, size.height), (230, 220, 200))
    pen, height = ImageDraw.Draw(image), max(12, size.height // 24)
    font = ImageFont.load_default(height)
    for row, line in enumerate(_lines()):
        pen.text((size.width // 12, (1 + 2 * row) * height), line, fill=(40, 30, 20), font=font)
    noise = np.random.default_rng(0).normal(0, 6, (size.height, size.width, 3))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)


def _lines() -> Iterator[str]:
    yield from ("Qwen Coffee 2 dollars a cup", "Imagination Unleashed", "3.14159265-358979", "Enter a world",
                "beyond your imagination", "New arrivals this week", "Best sellers", "Open from 9 to 18")  # fmt: skip


def run_pytest(folder: Path, args: Sequence[str]) -> int:
    """Run pytest in this process, in a suite's folder; the plugin is named where it is not installed."""
    import os
    from importlib import metadata

    import pytest

    installed = {sample.value for sample in metadata.entry_points(group="pytest11")}
    named = [] if "qiltest.plugin" in installed else ["-p", "qiltest.plugin"]
    before = Path.cwd()
    os.chdir(folder)
    try:
        quiet = ["-p", "no:cacheprovider", "-p", "no:randomly", "-q", "--tb=line", "-p", "no:timeout", "-W", "ignore"]
        return int(pytest.main([*named, *quiet, "--rootdir", str(folder), *args, str(folder / "test_suite.py")]))
    finally:
        os.chdir(before)
        for name in ("conftest", "test_suite"):
            sys.modules.pop(name, None)
