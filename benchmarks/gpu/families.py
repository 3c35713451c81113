"""Each family's random model at full size: filling it, an image of each recipe, seconds of its loop, peak memory.

    python benchmarks/gpu/families.py OUT.json [--families qwen-image-2.1,...] [--dry-run]

Recipes are those of docs/guide/variants-of-other-models.toml, with fewer steps of a base that has CFG. Nothing is
downloaded. OUT.json is written after every image; a family that fails is recorded with its error. `--dry-run` takes the
same way on the CPU with models of two layers.
"""

from __future__ import annotations

import argparse
import gc
import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch

from qiltest.engine.environment import gpu_state, versions
from qiltest.files import write_atomically
from qiltest.generation import Settings, _load, open_generator
from qiltest.generation._device import synchronise
from qiltest.generation._generator import DiffusersGenerator
from qiltest.generation.families import family_named, qwen_image
from qiltest.generation.families.qwen_image_21 import Base21, QwenImage21
from qiltest.generation.sources import base_of, resolve_model
from qiltest.lora import Base
from qiltest.recipe import Recipe, Size
from qiltest.suite.cases import Case
from qiltest.suite.inputs import find_input
from qiltest.suite.load import Suite, load_suite

if TYPE_CHECKING:
    from qiltest.suite.variants import Variant

ROOT = Path(__file__).parents[2]
VARIANTS = ROOT / "docs" / "guide" / "variants-of-other-models.toml"
#: family -> (case, names of recipes); Qwen-Image-Edit has those of its later release.
RECIPES = {
    "qwen-image-2.1": ("pi-number", ("2.1-base", "2.1-lightning")),
    "qwen-image-edit": ("edit-menu", ("edit-2511-base", "edit-2511-8steps-v1.0", "edit-2511-4steps-v1.0")),
    "qwen-image-edit-plus": ("edit-menu", ("edit-2511-base", "edit-2511-8steps-v1.0", "edit-2511-4steps-v1.0")),
}
#: steps of a base with CFG, in place of its 50; timed loops of each recipe.
FEW, LOOPS = 5, 2
#: models of two layers, for the CPU.
_EDIT: dict[str, Any] = {
    "num_layers": 2, "attention_head_dim": 64, "num_attention_heads": 3, "joint_attention_dim": 192,
}  # fmt: skip
_21: dict[str, Any] = {"num_layers": 2, "attention_head_dim": 32, "num_attention_heads": 2, "context_in_dim": 48}
Found = dict[str, Any]


def suite_of(folder: Path) -> Suite:
    """Return a copy of the cases, with the recipes of other models."""
    cases = folder / "cases"
    shutil.copytree(ROOT / "cases", cases)
    with (cases / "variants.toml").open("a", encoding="utf-8") as file:
        file.write("\n" + VARIANTS.read_text(encoding="utf-8"))
    return load_suite(cases)


def case_of(suite: Suite, name: str) -> Case:
    """Return a case with its input images."""
    case = suite.case(name)[0]
    sources = () if case.edit is None else case.edit.inputs
    return replace(case, inputs=tuple(find_input(case, source.file) for source in sources if source.file is not None))


def variant_of(suite: Suite, name: str, family: str) -> Variant:
    """Return a recipe for a family; one with CFG has fewer steps."""
    variant = replace(suite.variant(name), family=family, base_model=None)
    return replace(variant, steps=FEW) if variant.true_cfg_scale > 1 else variant


def measured(generator: DiffusersGenerator, recipe: Recipe, *, operations: Callable[..., int], rate: float) -> Found:
    """Time the loops of a recipe after a warm-up, and decode the last.

    `operations` counts those of an image from the recipe and the prompts' lengths, `rate` is the matrix rate.
    """
    generator.prepare(recipe.prompts)
    generator.peaks.clear()
    begin = time.perf_counter()
    generator.warm_up(recipe)
    warm = time.perf_counter() - begin
    loops = [generator.denoise(recipe) for _ in range(LOOPS)]
    generation = generator.decode(loops[-1])
    tokens = [generator._prompts.get(prompt).tokens for prompt in recipe.prompts]
    counted = operations(recipe, text_tokens=tokens[0], negative_tokens=sum(tokens[1:]))
    seconds = float(median(loop.denoise_seconds for loop in loops))
    return {
        "size": str(recipe.effective),
        "inputs": [list(image.load().size) for image in recipe.inputs],
        "steps": recipe.steps,
        "forwards": recipe.nfe,
        "true_cfg_scale": recipe.true_cfg_scale,
        "lora": None if recipe.lora is None else {"rank": recipe.lora.rank, "merged": recipe.lora.merged},
        "prompt_tokens": tokens,
        "warm_up_seconds": warm,
        "seconds": seconds,
        "loops": [loop.denoise_seconds for loop in loops],
        "step_seconds": list(loops[-1].timing.step_seconds),
        "decode_seconds": generation.timing.decode_seconds,
        "tera_operations": counted / 1e12,
        "share_of_matrix_rate": counted / seconds / rate,
        "same_latents": len({loop.latents_sha256 for loop in loops}) == 1,
        "png_bytes": len(generation.png),
        "peak_gib": {stage: peak / 2**30 for stage, peak in generator.peaks.items()},
        "state": [asdict(state) for state in gpu_state()],
    }


def family(name: str, suite: Suite, write: Callable[[Found], None], *, dry: bool) -> None:
    """Fill a family's random model and generate an image of each recipe."""
    case, variants = RECIPES[name]
    source = resolve_model(f"random/{name}")
    generator = DiffusersGenerator(source, Settings(device="cpu")) if dry else open_generator(source.name, Settings())
    begin = time.perf_counter()
    pipeline = generator._pipeline
    synchronise(generator._device)
    found: Found = {
        "recipes": {},
        "fill_seconds": time.perf_counter() - begin,
        "matrix_rate": (rate := generator.matrix_rate()),
        "weights": {part: sum(one.numel() for one in getattr(pipeline, part).parameters())
                    for part in ("transformer", "vae")},
    }  # fmt: skip
    operations = partial(source.family.image_operations, base_of(source))
    asked = case_of(suite, case)
    size = Size(64, 64) if dry else asked.resolutions[0].size
    for chosen in variants[-1:] if dry else variants:  # an input image is encoded at full size, which takes a CPU long
        recipe = generator.recipe(asked, size, variant_of(suite, chosen, name), 42)
        found["recipes"][chosen] = measured(generator, recipe, operations=operations, rate=rate)
        write(found)
    generator.close()


def small(name: str) -> ExitStack:
    """Let a family's random model have two layers, for as long as what is returned is open."""
    of_21, build = name == "qwen-image-2.1", _load.random_pipeline
    transformer = {**_21, "axes_dims_rope": (8, 12, 12)} if of_21 else {**_EDIT, "axes_dims_rope": (8, 28, 28)}
    vae = {"num_res_blocks": 1} | ({"base_dim": 8, "decoder_base_dim": 8} if of_21 else {"base_dim": 16})
    stack = ExitStack()
    stack.enter_context(patch.object(_load, "random_pipeline", lambda _t, _v, *rest: build(transformer, vae, *rest)))
    stack.enter_context(patch.object(qwen_image, "qwen_image", lambda: Base(name="dry", **_EDIT)))
    stack.enter_context(patch.object(QwenImage21, "base", lambda _: Base21(name="dry", **_21)))
    return stack


def run(out: Path, names: list[str], suite: Suite, *, dry: bool) -> bool:
    """Measure each family and write what is known; False where one failed."""
    device = "cpu" if dry else torch.cuda.get_device_name()
    results: Found = {"device": device, "versions": dict(versions()), "families": {}}

    def note(name: str, found: Found) -> None:
        results["families"][name] = found
        write_atomically(out, (json.dumps(results, indent=1, default=str) + "\n").encode())

    for name in names:
        begin = time.perf_counter()
        try:
            with small(name) if dry else nullcontext():
                family(name, suite, partial(note, name), dry=dry)
        except Exception as error:  # noqa: BLE001  one boundary: the other families go on
            told = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()[-3000:]}
            note(name, results["families"].get(name, {}) | told)
        gc.collect()
        if not dry:
            torch.cuda.empty_cache()
        known = results["families"][name]
        print(f"{name}: {known.get('error', 'done')} in {time.perf_counter() - begin:.1f} s", flush=True)
        for chosen, row in known.get("recipes", {}).items():
            peaks = {stage: round(value, 1) for stage, value in row["peak_gib"].items()}
            print(f"  {chosen} {row['size']}: {row['seconds']:.2f} s of {row['forwards']} forwards, GiB {peaks}")
    return all("error" not in one for one in results["families"].values())


def main() -> int:
    """Measure; 0 where nothing failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--families", default=",".join(RECIPES))
    parser.add_argument("--dry-run", action="store_true", help="small models on the CPU")
    args = parser.parse_args()
    names = args.families.split(",")
    unknown = [name for name in names if name not in RECIPES or family_named(name) is None]
    if unknown:
        parser.error(f"no such family here: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory(prefix="qiltest-families-") as folder:
        return 0 if run(args.out, names, suite_of(Path(folder)), dry=args.dry_run) else 1


if __name__ == "__main__":
    raise SystemExit(main())
