"""Compare `edit_sample.py` with the unchanged `QwenImageEditPlusPipeline`: the image of one edit, bit for bit, on a CPU.

    python tools/tiny_edit/check_sampler.py MODEL INPUT.png 'Replace “A” with “B”.' [--steps 2] [--scale 4] [--save OUTPUT.png]

The pipeline scales its inputs to the area `VAE_IMAGE_SIZE`; the embedded model's area is its input's own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImageEditPlusPipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus
from edit_sample import Sampler
from PIL import Image

from qiltest.arguments import existing_file, existing_folder
from qiltest.generation.schedule import QWEN_IMAGE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=existing_folder, help="a model in diffusers layout")
    parser.add_argument("input", type=existing_file, help="an image")
    parser.add_argument("prompt")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    image = Image.open(args.input).convert("RGB")
    width, height = image.size
    pipe = QwenImageEditPlusPipeline.from_pretrained(args.model, torch_dtype=torch.float32)
    pipe.scheduler = FlowMatchEulerDiscreteScheduler.from_config(QWEN_IMAGE)
    pipeline_qwenimage_edit_plus.VAE_IMAGE_SIZE = width * height
    theirs = pipe(
        image, args.prompt, negative_prompt=" ", true_cfg_scale=args.scale, num_inference_steps=args.steps, width=width, height=height,
        generator=torch.Generator("cpu").manual_seed(42),
    ).images[0]  # fmt: skip
    ours = Sampler(args.model, "cpu").draw(
        [image], [args.prompt], [42], (args.steps, args.scale, dict(QWEN_IMAGE), None)
    )[0]
    if args.save:
        theirs.save(args.save)
    far = np.abs(np.asarray(theirs, int) - np.asarray(ours, int))
    print(f"{theirs.size}: {(far > 0).sum()} of {far.size} values differ, by {far.max()} at most")
    if far.any():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
