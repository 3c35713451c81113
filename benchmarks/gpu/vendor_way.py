"""Draw and read as the vendor's script does, to have something to hold the suite against.

    python benchmarks/gpu/vendor_way.py --variants 8step,4step --cases pi-number,capybara [--device cuda]

ModelTC/Qwen-Image-Lightning's generate_with_diffusers.py makes a pipeline for one LoRA, then calls it for one prompt
after the other: text encoder, transformer and VAE stay on the card, each call encodes its prompt, each image is saved
before the next begins. Here the same is done for each variant in turn, and the images are read after the last one is
generated. With the embedded model unless a `build` of another one is given (`gpu_suite.py` does, for random weights).
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from qiltest.recipe import Size
from qiltest.suite.cases import Case
from qiltest.suite.load import load_suite
from qiltest.suite.variants import ModelKind, SchedulerKind, Variant

if TYPE_CHECKING:
    from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline

ROOT = Path(__file__).resolve().parents[2]
SEED = 42


def scheduler_of(variant: Variant) -> FlowMatchEulerDiscreteScheduler | None:
    """Return the scheduler that the vendor's script sets for a LoRA; None leaves the model's own."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    from qiltest.generation.schedule import LIGHTNING

    lightning = variant.scheduler is SchedulerKind.LIGHTNING
    return FlowMatchEulerDiscreteScheduler.from_config(dict(LIGHTNING)) if lightning else None


def embedded(variant: Variant, device: str) -> QwenImagePipeline:
    """Load the embedded model with a variant's LoRA, as anybody would."""
    import torch
    from diffusers import QwenImagePipeline

    from qiltest.generation.sources import EMBEDDED

    scheduler = scheduler_of(variant)
    given = {} if scheduler is None else {"scheduler": scheduler}
    pipeline = QwenImagePipeline.from_pretrained(EMBEDDED, dtype=torch.float32, **given)
    lora = variant.lora(ModelKind.TINY)
    if lora is not None:
        pipeline.load_lora_weights(EMBEDDED / "loras", weight_name=f"{lora.source.partition('::')[2]}.safetensors")
    return pipeline.to(device)


class VendorTimes(TypedDict):
    """Seconds in all and by kind of work, and the images' files."""

    wall_seconds: float
    seconds: dict[str, float]
    images: list[str]
    #: seconds of each variant's building, and of each image's drawing and reading, in their order.
    builds: list[float]
    draws: list[float]
    reads: list[float]


def vendor_way(
    variants: Sequence[Variant],
    images: Sequence[tuple[Case, Size]],
    *,
    build: Callable[[Variant], QwenImagePipeline],
    read: Callable[[Path], object] | None,
    noise_device: str,
    max_sequence_length: int,
    folder: Path,
    prompt_end: str = "",
) -> VendorTimes:
    """Draw each image by each variant and read them; return seconds by kind of work, and where the images are.

    `prompt_end` is put behind every prompt. `read` None: the images are not read.
    """
    import torch

    files: list[Path] = []
    builds: list[float] = []
    draws: list[float] = []
    reads: list[float] = []
    start = time.perf_counter()
    for variant in variants:
        begin = time.perf_counter()
        pipeline = build(variant)
        pipeline.set_progress_bar_config(disable=True)
        builds.append(time.perf_counter() - begin)
        for case, size in images:
            begin = time.perf_counter()
            image = pipeline(
                prompt=variant.prompt(case.prompt, case.language) + prompt_end,
                negative_prompt=" ",
                true_cfg_scale=variant.true_cfg_scale,
                num_inference_steps=variant.steps,
                width=size.width,
                height=size.height,
                max_sequence_length=max_sequence_length,
                generator=torch.Generator(noise_device).manual_seed(SEED),
            ).images[0]
            files.append(folder / f"{case.id}-{variant.name}.png")
            image.save(files[-1])
            draws.append(time.perf_counter() - begin)
        # a pipeline with LoRAs is full of cycles: two of 56 GB would lie on the card side by side
        del pipeline
        gc.collect()
        torch.cuda.empty_cache()
    if read is not None:
        for file in files:
            begin = time.perf_counter()
            read(file)
            reads.append(time.perf_counter() - begin)
    return {
        "wall_seconds": time.perf_counter() - start,
        "seconds": {"build": sum(builds), "encode_draw_save": sum(draws), "read": sum(reads)},
        "images": [str(file) for file in files],
        "builds": builds,
        "draws": draws,
        "reads": reads,
    }


def main() -> int:
    """Run it on the embedded model and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", default="8step,4step")
    parser.add_argument("--cases", default="pi-number,capybara")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    from qiltest.reading import open_reader

    suite = load_suite(ROOT / "cases")
    cases = [suite.case(name)[0] for name in args.cases.split(",")]
    images = [(case, case.resolutions[0].for_model(tiny=True).effective()) for case in cases]
    with tempfile.TemporaryDirectory() as folder:
        found = vendor_way(
            [suite.variant(name) for name in args.variants.split(",")],
            images,
            build=lambda variant: embedded(variant, args.device),
            read=open_reader().read,
            noise_device="cpu",
            max_sequence_length=1024,
            folder=Path(folder),
        )
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
