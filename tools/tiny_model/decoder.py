"""The VAE's decoder, trained on beside a frozen encoder: latents, and so a transformer that draws them, stay what they are.

What the reader reads wrong in perfect images is lost in decoding: without the VAE it reads nearly all of them. The transformer's latents
differ from an image's by a fifth of their deviation where there is ink, so the decoder learns from latents with such noise.
"""

from __future__ import annotations

import copy
import time

import torch
from flow import DEVIATION, falling, pixel_error, take_statistics, use_vae
from image import Scribbler
from models import forget_unused_slices

from engine import Engine

#: batches of random glyphs: images, rows and columns of tokens. The decoder's attention must know large images too
SHAPES = ((48, 4, 12), (16, 12, 12), (6, 12, 32), (4, 16, 36), (2, 28, 32), (2, 50, 20))
#: largest standard deviation of the noise in an image's latents, in their own
NOISE = 0.3


class Objective:
    """The error of decoded images of one of the shapes."""

    def __init__(self, session) -> None:  # noqa: ANN001
        self.session = session
        self.scribbler = Scribbler(session.painter, session.glyphs, session.device)
        self.deviation = session.std[:, :, None] * DEVIATION
        self.shape = SHAPES[0]

    def __call__(
        self, _batch: dict[str, torch.Tensor], *, conditional: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        session = self.session
        with torch.no_grad():
            images = self.scribbler(*self.shape)
            z = session.vae.encode(images[:, :, None]).latent_dist.mode()
            z = z + NOISE * torch.rand(len(z), 1, 1, 1, 1, device=z.device) * self.deviation * torch.randn_like(z)
        decoded = session.vae.decode(z, return_dict=False)[0][:, :, 0]
        error = pixel_error(decoded, images)
        return error, {"error": error}


def train(session) -> None:  # noqa: ANN001
    """Train for `--minutes` and write the VAE to `<out>/vae`, bf16."""
    args, vae = session.args, session.vae
    use_vae(session)
    take_statistics(session)
    vae.requires_grad_(False)
    learned = [p for part in (vae.post_quant_conv, vae.decoder) for p in part.requires_grad_(True).parameters()]
    gpu = session.device == "cuda"
    rate = torch.tensor(args.rate, device=session.device)
    optimiser = torch.optim.AdamW(learned, rate, betas=(0.9, 0.98), weight_decay=0.0, fused=gpu, capturable=gpu)
    objective = Objective(session)
    engine = Engine(objective, learned, optimiser.step, record=session.records)
    torch.backends.cudnn.benchmark = gpu
    began, step = time.monotonic(), 0
    sums: dict[tuple[int, ...], tuple[float | torch.Tensor, int]] = dict.fromkeys(SHAPES, (0.0, 0))
    written = began
    while (spent := time.monotonic() - began) < 60 * args.minutes:
        objective.shape = SHAPES[int(torch.randint(0, len(SHAPES), ()))]
        rate.fill_(falling(spent, 60 * args.minutes, step, args.rate, args.plateau))
        error = engine.step({}, objective.shape, conditional=True)["error"]
        total, count = sums[objective.shape]
        sums[objective.shape] = total + error.detach().clone(), count + 1
        step += 1
        if step % 20 == 0 and gpu:
            # recorded steps are queued faster than they run, and the clock must not run ahead of them
            torch.cuda.synchronize()
        if step % 500 == 0 or not gpu:
            shown = {"x".join(map(str, k)): round(float(t) / max(1, n), 4) for k, (t, n) in sums.items()}
            session.say(
                "decoder",
                step,
                shown,
                f"lr {float(rate):.1e}, {int(engine.gradients.refused)} refused",
                engine.said or "",
            )
            sums = dict.fromkeys(SHAPES, (0.0, 0))
        if time.monotonic() - written > 60:
            _write(session)
            written = time.monotonic()
        if not gpu and step >= 2:
            break
    _write(session)
    session.say("decoder done", step)


def _write(session) -> None:  # noqa: ANN001
    vae = copy.deepcopy(session.vae)
    forget_unused_slices(vae)
    vae.to(torch.bfloat16).save_pretrained(session.args.out / "vae", safe_serialization=True)
