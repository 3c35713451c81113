"""A program that knows nothing of qiltest: it generates the images of a plan through plain diffusers.

python foreign_script.py PLAN.json MODEL_FOLDER IMAGES_FOLDER
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, QwenImagePipeline

plan, model, images = (Path(word) for word in sys.argv[1:])
torch.set_num_threads(1)
images.mkdir()
pipeline, loaded = None, None
for image in json.loads(plan.read_text())["images"]:
    lora = image["lora"]
    if pipeline is None or loaded != lora:
        config = {name: value for name, value in image["scheduler_config"].items() if name != "class"}
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
        pipeline = QwenImagePipeline.from_pretrained(model, scheduler=scheduler, dtype=torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        if lora is not None:
            pipeline.load_lora_weights(str(model / "loras"), weight_name=lora["file"])
            if lora["merged"]:
                pipeline.fuse_lora()
        loaded = lora
    made = pipeline(
        prompt=image["prompt"],
        negative_prompt=image["negative_prompt"],
        true_cfg_scale=image["true_cfg_scale"],
        num_inference_steps=image["steps"],
        width=image["width"],
        height=image["height"],
        max_sequence_length=image["max_sequence_length"],
        generator=torch.Generator("cpu").manual_seed(image["seed"]),
    )
    made.images[0].save(images / image["file"])
assert not [name for name in sys.modules if name.split(".")[0] == "qiltest"]
