"""Draw edits as `QwenImageEditPlusPipeline` does, many at once.

That pipeline takes one prompt at a time. Here the instructions of one canvas are one batch, padded and masked; a batch of one is bit for bit the
pipeline's image (`check_sampler.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import edit_paths  # noqa: F401  (makes the next imports work)
import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_shift
from distil import Adapter
from edit_data import Words, characters
from edit_models import build_edit_tokenizer, encode_map
from flow import packed
from PIL import Image
from safetensors.torch import load_file

from qiltest.generation.schedule import LIGHTNING, QWEN_IMAGE

#: steps, guidance, scheduler's config, LoRA
Way = tuple[int, float, Mapping[str, object], str | None]


def ways(scale: float) -> dict[str, Way]:
    """Both LoRAs, as many steps without them, and the base at the guidance `scale`."""
    return {
        "8step": (8, 1.0, LIGHTNING, "8step"),
        "4step": (4, 1.0, LIGHTNING, "4step"),
        "4 steps without LoRA": (4, 1.0, LIGHTNING, None),
        "base": (40, scale, QWEN_IMAGE, None),
        "8 steps without LoRA": (8, 1.0, LIGHTNING, None),
    }


class Sampler:
    """An exported model with its LoRAs, in float32."""

    def __init__(self, folder: Path, device: str) -> None:
        from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
        from transformers import Qwen2_5_VLForConditionalGeneration

        self.device = device
        self.transformer = QwenImageTransformer2DModel.from_pretrained(folder / "transformer", dtype=torch.float32).to(
            device
        )
        self.encoder = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder / "text_encoder", dtype=torch.float32
        ).to(device)
        self.vae = AutoencoderKLQwenImage.from_pretrained(folder / "vae", dtype=torch.float32).to(device)
        self.words = Words(*encode_map(build_edit_tokenizer(), characters()))
        self.adapter = Adapter(self.transformer)
        self.loras = {path.stem: load_file(path) for path in sorted((folder / "loras").glob("*step.safetensors"))}
        config = self.vae.config
        self.mean = torch.tensor(config.latents_mean).view(1, -1, 1, 1, 1).to(device)
        self.std = torch.tensor(config.latents_std).view(1, -1, 1, 1, 1).to(device)

    def use(self, lora: str | None) -> None:
        """Merge a LoRA into the transformer, or take it out."""
        if lora is None:
            self.adapter.off()
            return
        self.adapter.take(self.loras[lora])
        self.adapter.on()

    @torch.no_grad()
    def embed(self, prompt: str) -> torch.Tensor:
        """Embeddings [1, tokens, width] of an instruction, as the pipeline takes them from the text encoder."""
        ids = torch.tensor([self.words.whole(prompt)], device=self.device)
        states = self.encoder.model.language_model(input_ids=ids, use_cache=False)
        return states.last_hidden_state[:, len(self.words.prefix) :]

    def _padded(self, embeds: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        lengths = [e.shape[1] for e in embeds]
        joined = torch.cat([torch.nn.functional.pad(e, (0, 0, 0, max(lengths) - e.shape[1])) for e in embeds])
        if min(lengths) == max(lengths):
            return joined, None
        steps = torch.arange(max(lengths), device=self.device)
        return joined, (steps < torch.tensor(lengths, device=self.device)[:, None]).long()

    @torch.no_grad()
    def latents(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Tokens [B, tokens, 64] of inputs of one size."""
        pixels = np.stack([np.asarray(image.convert("RGB")) for image in images]).astype(np.float32) / 255.0
        x = 2.0 * torch.from_numpy(pixels.transpose(0, 3, 1, 2)).to(self.device) - 1.0
        z = self.vae.encode(x[:, :, None]).latent_dist.mode()
        return packed(((z - self.mean) / self.std)[:, :, 0])

    @torch.no_grad()
    def draw(
        self, images: Sequence[Image.Image], prompts: Sequence[str], seeds: Sequence[int], way: Way
    ) -> list[Image.Image]:
        """Edited images; all inputs have one size."""
        steps, scale, scheduler, lora = way
        self.use(lora)
        width, height = images[0].size
        rows, cols = height // 16, width // 16
        source = self.latents(images)
        said = self._padded([self.embed(p) for p in prompts])
        unsaid = self._padded([self.embed(" ")] * len(prompts))
        noise = [
            torch.randn(1, 1, 16, 2 * rows, 2 * cols, generator=torch.Generator("cpu").manual_seed(seed))
            for seed in seeds
        ]
        x = packed(torch.cat(noise)[:, 0]).to(self.device)
        shapes = [[(1, rows, cols), (1, rows, cols)]] * len(prompts)
        clock = FlowMatchEulerDiscreteScheduler.from_config(scheduler)
        shift = calculate_shift(
            rows * cols,
            *(clock.config[k] for k in ("base_image_seq_len", "max_image_seq_len", "base_shift", "max_shift")),
        )
        clock.set_timesteps(sigmas=np.linspace(1.0, 1 / steps, steps), mu=shift, device=self.device)
        clock.set_begin_index(0)
        for t in clock.timesteps:
            level = t.expand(len(x)) / 1000
            told = self._velocity(x, source, level, said, shapes)
            if scale > 1:
                untold = self._velocity(x, source, level, unsaid, shapes)
                both = untold + scale * (told - untold)
                told = both * (torch.norm(told, dim=-1, keepdim=True) / torch.norm(both, dim=-1, keepdim=True))
            x = clock.step(told, t, x, return_dict=False)[0]
        return self.decode(x, rows, cols)

    def _velocity(self, x, source, level, said, shapes):  # noqa: ANN001, ANN202
        found = self.transformer(
            hidden_states=torch.cat([x, source], 1), timestep=level, encoder_hidden_states=said[0], encoder_hidden_states_mask=said[1],
            img_shapes=shapes, return_dict=False,
        )[0]  # fmt: skip
        return found[:, : x.shape[1]]

    @torch.no_grad()
    def decode(self, x: torch.Tensor, rows: int, cols: int) -> list[Image.Image]:
        z = x.view(len(x), rows, cols, 16, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(len(x), 16, 1, 2 * rows, 2 * cols)
        pixels = torch.cat(
            [
                self.vae.decode(part / (1.0 / self.std) + self.mean, return_dict=False)[0][:, :, 0]
                for part in z.split(16)
            ]
        )
        shown = (pixels * 0.5 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().float().numpy()
        return [Image.fromarray((image * 255).round().astype("uint8")) for image in shown]
