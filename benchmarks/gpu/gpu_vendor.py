"""Stages beside the vendor's way of generating: the text encoder's memory, and both ways on the same prompts."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import gpu_parts as parts
from gpu_lab import Found, Lab, folder_of, peak, reader_of, share, suite_run, timed, writing
from vendor_way import embedded, scheduler_of, vendor_way

from qiltest.recipe import Size
from qiltest.suite.variants import Variant

if TYPE_CHECKING:
    from diffusers import QwenImagePipeline

GIB = 1 << 30


def text_encoder(lab: Lab) -> Found:
    """Peaks of each stage with the text encoder freed and with it kept beside the transformer."""
    import torch

    generator, size = lab.generator(), lab.scale.sizes[0]
    freed = peak(lab, lambda: generator.decode_pixels(generator.denoise(lab.recipe("4step", size))))
    spent: dict[str, float] = {}
    with timed(spent, "build the text encoder"):
        pipeline = text_pipeline(lab)
        lab.wait()
    with timed(spent, "encode three prompts"), torch.no_grad():
        for name in parts.CASES[:3]:
            pipeline.encode_prompt(prompt=[parts.case_of(name).prompt[:300]], device=lab.scale.device)
        lab.wait()
    kept = peak(lab, lambda: generator.decode_pixels(generator.denoise(lab.recipe("4step", size))))
    lab.let_go()
    alone = peak(lab, lambda: pipeline.encode_prompt(prompt=["a sign"], device=lab.scale.device))
    return {
        "seconds": spent,
        "peak_gib": {
            "encode, text encoder alone": alone / GIB,
            "denoise and decode, text encoder freed": freed / GIB,
            "denoise and decode, text encoder kept": kept / GIB,
        },
    }


def text_pipeline(lab: Lab) -> QwenImagePipeline:
    """Return a pipeline with a random text encoder and the embedded model's tokenizer: one token a character."""
    from diffusers import QwenImagePipeline
    from transformers import AutoTokenizer

    from qiltest.generation.sources import EMBEDDED

    return QwenImagePipeline(
        scheduler=None, vae=None, transformer=None, text_encoder=lab.scale.text_encoder(),
        tokenizer=AutoTokenizer.from_pretrained(EMBEDDED / "tokenizer"),
    )  # fmt: skip


def vendor_random(lab: Lab) -> Found:
    """Two LoRAs x two prompts the vendor's way, at full size with a text encoder, and by the suite."""
    lab.let_go()
    from qiltest.generation import _load

    size = lab.scale.sizes[0]
    found = parts.variants_with(lab.loras)
    images = [(parts.case_of(name), size) for name in ("pi-number", "couplets")]

    def build(variant: Variant) -> QwenImagePipeline:
        import torch

        dtype = torch.float32 if lab.scale.dry else torch.bfloat16
        make = getattr(_load.random_pipeline, "full_size", _load.random_pipeline)
        pipeline = make(lab.scale.transformer, lab.scale.vae, dtype, torch.device(lab.scale.device))
        with_text = text_pipeline(lab)
        pipeline.register_modules(text_encoder=with_text.text_encoder, tokenizer=with_text.tokenizer)
        pipeline.scheduler = scheduler_of(variant) or pipeline.scheduler
        path = lab.loras[variant.name]
        pipeline.load_lora_weights(str(path.parent), weight_name=path.name)
        return pipeline

    folder = folder_of(lab, "vendor-random")
    theirs = vendor_way(
        [found["8step"], found["4step"]], images, build=build, read=reader_of(), noise_device=lab.scale.device,
        max_sequence_length=512, folder=folder,
    )  # fmt: skip
    lab.let_go()
    begin = time.perf_counter()
    encoding = _encoded_once(lab, [case.prompt for case, _ in images])
    suite = parts.write_suite(lab.scratch / "suite-vendor", lab.scale, lab.loras, size=Size(1328, 1328))
    share(writing(lab))
    ours = suite_run(
        suite,
        ["--qil-rounds=1", "--qil-model=random", "--qil-variant=8step,4step", "--qil-case=pi-number,couplets"],
    )
    total = time.perf_counter() - begin
    return {
        "vendor": theirs,
        "suite": ours | {"text_encoder_seconds": encoding, "wall_with_loading_and_encoding": total},
        "vendor_over_suite": theirs["wall_seconds"] / total,
    }


def _encoded_once(lab: Lab, prompts: list[str]) -> dict[str, float]:
    """Load a text encoder, encode each prompt once, and free it: what the suite does before it generates."""
    import torch

    spent: dict[str, float] = {}
    with timed(spent, "load"):
        pipeline = text_pipeline(lab)
    with timed(spent, "encode"), torch.no_grad():
        for prompt in prompts:
            pipeline.encode_prompt(prompt=[prompt], device=lab.scale.device)
        lab.wait()
    del pipeline
    gc.collect()
    return spent


def vendor_tiny(lab: Lab) -> Found:
    """Two LoRAs x two cases with the embedded model, the vendor's way and by the suite; compare the images."""
    lab.let_go()
    import numpy as np
    from PIL import Image

    from qiltest.generation import Settings, open_generator
    from qiltest.runs import RunStore

    suite = parts.the_suite()
    names = parts.TINY_CASES
    cases = [suite.case(name)[0] for name in names]
    images = [(case, case.resolutions[0].for_model(tiny=True).effective()) for case in cases]
    folder = folder_of(lab, "vendor-tiny")
    theirs = vendor_way(
        [suite.variant(name) for name in ("8step", "4step")], images,
        build=lambda variant: embedded(variant, lab.scale.device), read=reader_of(), noise_device="cpu",
        max_sequence_length=1024, folder=folder,
    )  # fmt: skip
    home = lab.scratch / "suite-tiny"
    parts.copy_cases(home / "cases")
    parts.write_tests(home)
    begin = time.perf_counter()
    share(open_generator("tiny", Settings(device=lab.scale.device)))
    ours = suite_run(home, ["--qil-rounds=1", "--qil-variant=8step,4step", f"--qil-case={','.join(names)}"])
    total = time.perf_counter() - begin
    same = {}
    for result in RunStore(root=home / "runs").load("latest").results:
        file = folder / f"{result.sample.case}-{result.sample.variant}.png"
        if result.image and file.exists():
            one, other = (np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (result.image.path, file))
            same[file.stem] = int(np.abs(one - other).max())
    return {
        "vendor": theirs,
        "suite": ours | {"wall_with_loading_and_encoding": total},
        "vendor_over_suite": theirs["wall_seconds"] / total,
        "largest_difference_of_a_pixel": same,
    }
