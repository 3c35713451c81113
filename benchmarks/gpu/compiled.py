"""What compiling the transformer gives, step by step, against the floor of its operations.

    python benchmarks/gpu/compiled.py --out RESULTS [--budget 285] [--steps eager,blocks,marked] [--dry-run]

Qwen-Image at full size with random weights made on the device and a random LoRA of rank 64 merged into them, at the
report's three sizes. The floor is the forward's counted operations at the matrix rate measured here. Each step is timed
by device events, profiled (products, attention, elementwise passes, gaps), and compared with the uncompiled forward;
the last stage compares whole images' latents. `compile.json` and `compile.txt` are written after every measurement; a
step that fails is recorded with its error, and one that no longer fits the budget says so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import partialmethod
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import compiled_split as splitting
import gpu_parts as parts
import torch
from compiled_lab import Bench, Found, child, finish_child, inputs_of, seconds_of, start_child
from compiled_steps import STEPS, Step, library, take_off
from compiled_table import table
from diffusers import QwenImageTransformer2DModel
from torch.nn.attention import SDPBackend, sdpa_kernel

from qiltest.engine.environment import gpu_state, versions
from qiltest.generation._compile import _linear_gelu as linear_gelu
from qiltest.generation._device import measured_matrix_rate
from qiltest.generation._generator import DiffusersGenerator
from qiltest.generation.random.operations import forward_operations, image_tokens
from qiltest.recipe import Recipe, Size

CASE = "pi-number"
#: tokens by which the second prompt is longer than the first.
LONGER = 37
#: steps in which a second prompt is tried, and those in which whole images are generated.
_PROMPTS, _IMAGES = ("blocks", "marked"), ("eager", "marked", "graph")


def machine(bench: Bench) -> Found:
    """Device, versions and the matrix rate."""
    rate = measured_matrix_rate(torch.device(bench.scale.device), bench.dtype)
    bench.results["matrix_rate"] = rate
    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "cuda": torch.version.cuda,
        "cores": len(os.sched_getaffinity(0)),
        "versions": dict(versions()),
        "tera_operations_a_second": rate / 1e12,
        "state": [asdict(state) for state in gpu_state()],
    }


def floors(bench: Bench, tokens: int) -> Found:
    """Return each size's floor: counted operations at the measured rate; and its own products and attention alone."""
    base, found = bench.scale.base(), {}
    for size in bench.sizes:
        image = image_tokens(size)
        operations = forward_operations(base, size, text_tokens=tokens)
        width = base.num_attention_heads * base.attention_head_dim
        shapes = {
            (rows, into, out): count * base.num_layers
            for rows in (image, tokens)
            for (into, out), count in {(width, width): 4, (width, 4 * width): 1, (4 * width, width): 1}.items()
        }
        shapes[1, width, 6 * width] = 2 * base.num_layers
        products = splitting.own_products(shapes, bench.scale.device, bench.dtype)
        attention = splitting.own_attention(
            image + tokens, base.num_attention_heads, base.attention_head_dim, bench.scale.device, bench.dtype
        )
        best = min((one["seconds"] for one in attention.values() if "seconds" in one), default=0.0)
        found[str(size)] = {
            "image_tokens": image,
            "prompt_tokens": tokens,
            "tera_operations": operations / 1e12,
            "floor_seconds": operations / bench.results["matrix_rate"],
            "products_alone_seconds": products["seconds"],
            "attention_alone_seconds": best * base.num_layers,
            "products": products,
            "attention": attention,
        }
    return found


def measured(bench: Bench, transformer: Any, step: str, size: Size, tokens: int) -> Found:  # noqa: ANN401
    """Time, profile and compare one way at one size; the first forward includes compiling."""
    given, longer = inputs_of(bench, size, tokens), inputs_of(bench, size, tokens + LONGER)

    def forward() -> torch.Tensor:
        made: torch.Tensor = transformer(**given)[0]
        return made

    first = seconds_of(bench, forward)
    second = seconds_of(bench, lambda: transformer(**longer)) if size == bench.sizes[0] and step in _PROMPTS else None
    for _ in range(2):
        made = forward()
    spent = splitting.seconds_each(forward, 2 if bench.scale.dry else 6 if image_tokens(size) > 4000 else 10)
    state = [asdict(one) for one in gpu_state()]
    found: Found = {
        "seconds": spent["median"],
        "spent": spent,
        "first_seconds": first,
        "first_of_another_prompt_seconds": second,
        "finite": bool(torch.isfinite(made).all()),
        "state": state,
    }
    found["profile"] = splitting.split(forward)
    busy = found["profile"].get("busy_milliseconds")
    if busy is not None:
        found["gap_share"] = max(0.0, 1 - busy / 1000 / spent["median"])
    reference = bench.eager_outputs.setdefault(str(size), made.clone()) if step == "eager" else None
    reference = bench.eager_outputs.get(str(size)) if reference is None else reference
    if reference is not None:
        found["relative_error"] = relative(made, reference)
    if torch.cuda.is_available():
        found["allocated_gib"] = torch.cuda.memory_allocated() / 2**30
        found["reserved_gib"] = torch.cuda.memory_reserved() / 2**30
    return found


def done(act: Callable[[], None]) -> Found:
    """Do what finds nothing."""
    act()
    return {}


def relative(made: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the norm of the difference over the norm of the reference."""
    return float((made.float() - reference.float()).norm() / reference.float().norm())


def gelus(bench: Bench) -> Found:
    """Return how far GELU within a product is from both GELUs after it, in float32: which of them the library has."""
    made = [torch.randn(shape, device=bench.scale.device) for shape in ((300, 64), (128, 64), (128,))]
    plain = torch.nn.functional.linear(*made)
    inside = linear_gelu(*made)
    return {
        kind: float((inside - torch.nn.functional.gelu(plain, approximate=kind)).abs().max())
        for kind in ("tanh", "none")
    }


def run_step(bench: Bench, transformer: Any, step: Step, tokens: int, images: Callable[[], Found]) -> None:  # noqa: ANN401
    """Install a step, measure it at its sizes, generate whole images, take it off."""
    found = bench.results["steps"].setdefault(step.name, {"what": step.what, "sizes": {}})
    if step.gpu and not torch.cuda.is_available():
        found["left_out"] = "it takes a GPU"
        return
    if bench.left < step.estimate and not bench.scale.dry:
        found["left_out"] = f"{bench.left:.0f} s remained, it takes about {step.estimate:.0f}"
        return
    try:
        bench.attempt("install", lambda: done(lambda: step.install(transformer)), into=found)
        if "error" in found["install"]:
            return
        for place in step.sizes:
            size = bench.sizes[place]
            name = str(size)
            bench.attempt(
                name,
                lambda size=size: measured(bench, transformer, step.name, size, tokens),  # type: ignore[misc]
                into=found["sizes"],
                estimate=5,
            )
            if step.name in ("marked", "eager"):
                also(bench, transformer, step, size, tokens)
        if step.name in _IMAGES:
            bench.attempt(f"latents {step.name}", images, estimate=15)
    finally:
        take_off(transformer)
        bench.write()


def also(bench: Bench, transformer: Any, step: Step, size: Size, tokens: int) -> None:  # noqa: ANN401
    """Try what needs no code of its own: the other library of products; and how far two attentions are apart."""
    if not torch.cuda.is_available():
        return
    given = inputs_of(bench, size, tokens)

    def other_library() -> Found:
        with library("cublaslt"):
            for _ in range(2):
                transformer(**given)
            return {"seconds": splitting.seconds_each(lambda: transformer(**given), 4)["median"]}

    def other_attention() -> Found:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            made = transformer(**given)[0]
        return {"relative_error": relative(made, bench.eager_outputs[str(size)])}

    name, act = ("cublaslt", other_library) if step.name == "marked" else ("flash attention", other_attention)
    bench.attempt(f"{name} at {size}", act, into=bench.results["steps"][step.name].setdefault("also", {}), estimate=5)


def loops(bench: Bench, generator: DiffusersGenerator, recipes: list[Recipe], kept: dict[str, torch.Tensor]) -> Found:
    """Generate each image's latents, timed as the suite times them; compare them with those in `kept`."""
    found: Found = {}
    for recipe in recipes:
        name = str(recipe.effective)
        generator.warm_up(recipe)
        done = generator.denoise(recipe)
        before = kept.setdefault(name, done.latents.clone())
        found[name] = {
            "seconds": done.denoise_seconds,
            "seconds_a_forward": done.denoise_seconds / recipe.nfe,
            "finite": bool(torch.isfinite(done.latents).all()),
            "relative_error": relative(done.latents, before),
        }
        if name == str(recipes[0].effective):
            found[name]["same_twice"] = done.latents_sha256 == generator.denoise(recipe).latents_sha256
    return found


def run(bench: Bench, steps: list[str]) -> None:
    """Everything, in order of worth."""
    generator = parts.generator_of(bench.scale, merge=True)
    variant = parts.the_suite().variant("8step")
    case = parts.case_of(CASE)
    recipes = [generator.recipe(case, size, variant, 42) for size in bench.sizes]
    generator.prepare([recipe.prompt for recipe in recipes])
    tokens = generator._prompts.get(recipes[0].prompt).tokens
    bench.results |= {"prompt_tokens": tokens, "steps": {}, "matrix_rate": 0.0}
    cold = start_child(bench, tokens)
    bench.attempt("fill and merge", lambda: done(lambda: generator._switch(recipes[0])))
    bench.attempt("compile cold, beside filling", lambda: finish_child(cold, 120))
    bench.attempt("machine", lambda: machine(bench))
    bench.attempt("gelu within a product", lambda: gelus(bench))
    bench.attempt("floor", lambda: floors(bench, tokens))
    transformer, kept = generator._pipeline.transformer, dict[str, torch.Tensor]()
    for step in STEPS:
        if step.name in steps:
            run_step(bench, transformer, step, tokens, lambda: loops(bench, generator, recipes[:2], kept))
        if step.name == "graph" and "marked" in steps:  # what comes after is not part of the product
            bench.attempt("compile from the cache", lambda: finish_child(start_child(bench, tokens), 60), estimate=25)
    bench.attempt("matrix rate at the end", lambda: {"rate": generator.matrix_rate()})
    generator.close()


def main() -> int:
    """Run it; 0 where nothing failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=285.0, help="seconds in all")
    parser.add_argument("--steps", default=",".join(step.name for step in STEPS))
    parser.add_argument("--dry-run", action="store_true", help="a small model on the CPU, traced and not compiled")
    parser.add_argument("--child", type=int, default=0, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(out=args.out, scale=parts.Scale(dry=args.dry_run), budget=args.budget, results={})
    if args.dry_run:
        compile_blocks = QwenImageTransformer2DModel.compile_repeated_blocks
        QwenImageTransformer2DModel.compile_repeated_blocks = partialmethod(compile_blocks, backend="eager")
    if args.child:
        return child(bench, args.child)
    with tempfile.TemporaryDirectory(prefix="qiltest-compiled-") as scratch:
        os.environ["QILTEST_CACHE"] = f"{scratch}/cache"
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{scratch}/inductor"
        run(bench, args.steps.split(","))
    bench.write()
    print(table(bench.results))
    return int('"error"' in json.dumps(bench.results, default=str))


if __name__ == "__main__":
    sys.exit(main())
