"""Distil the base's 50 guided steps into a LoRA for 8 or 4 steps without guidance, in the Lightning file format.

For each interval [s_i, s_i+1] of the shift-3 scheduler the teacher (base, CFG 4, the pipeline's norm-preserving guidance)
takes `SUB` Euler steps; the student learns the mean velocity over the interval. Half of the starting points are noised pictures,
the other half the student's own way down, so that it learns to mend what it drew.
"""

from __future__ import annotations

import time
from itertools import pairwise

import torch
import torch.nn.functional as F
from flow import load, normalised
from models import encode_text
from peft import LoraConfig
from safetensors.torch import save_file

RANK, ALPHA, GUIDANCE = 8, 8.0, 4.0
SUB = {8: 3, 4: 4}
TARGETS = (
    r"transformer_blocks\.\d+\.(attn\.(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out)"
    r"|(img|txt)_mlp\.net\.(0\.proj|2)|(img|txt)_mod\.1)"
)


def levels(steps: int) -> list[float]:
    """Sigmas of the shift-3 scheduler for `steps` steps, with the final 0."""
    return [3 * t / (1 + 2 * t) for t in (1 - i / steps for i in range(steps))] + [0.0]


def _between(high: float, low: float, count: int) -> list[float]:
    """`count` + 1 levels from `high` to `low`, even in unshifted time."""
    plain = [s / (3 - 2 * s) for s in (high, low)]
    ts = [plain[0] + (plain[1] - plain[0]) * i / count for i in range(count + 1)]
    return [3 * t / (1 + 2 * t) for t in ts]


class Distiller:
    """Teacher and student of one LoRA: the transformer without and with its adapter."""

    def __init__(self, transformer: torch.nn.Module, steps: int, nothing: torch.Tensor) -> None:
        self.transformer, self.nothing = transformer, nothing
        self.levels, self.sub = levels(steps), SUB[steps]

    def velocity(
        self, x: torch.Tensor, level: float, embeds: torch.Tensor, shape: tuple[int, int, int]
    ) -> torch.Tensor:
        return self.transformer(
            hidden_states=x,
            timestep=torch.full((len(x),), level, device=x.device),
            encoder_hidden_states=embeds,
            encoder_hidden_states_mask=None,
            img_shapes=[[shape]] * len(x),
            return_dict=False,
        )[0].float()

    def guided(self, x: torch.Tensor, level: float, embeds: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
        """The teacher's velocity, as `QwenImagePipeline` guides it."""
        told = self.velocity(x, level, embeds, shape)
        untold = self.velocity(x, level, self.nothing.expand(len(x), -1, -1), shape)
        both = untold + GUIDANCE * (told - untold)
        return both * (told.norm(dim=-1, keepdim=True) / both.norm(dim=-1, keepdim=True))

    @torch.no_grad()
    def start(self, clean: torch.Tensor, i: int, embeds: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
        noise = torch.randn_like(clean)
        if i == 0:
            return noise
        if torch.rand(()) < 0.5:
            return (1 - self.levels[i]) * clean + self.levels[i] * noise
        x = noise
        for j in range(i):
            x = x + (self.levels[j + 1] - self.levels[j]) * self.velocity(x, self.levels[j], embeds, shape)
        return x

    @torch.no_grad()
    def target(self, x: torch.Tensor, i: int, embeds: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
        """The teacher's mean velocity from level i to level i + 1."""
        self.transformer.disable_adapters()
        way, y = _between(self.levels[i], self.levels[i + 1], self.sub), x
        for high, low in pairwise(way):
            y = y + (low - high) * self.guided(y, high, embeds, shape)
        self.transformer.enable_adapters()
        return (y - x) / (self.levels[i + 1] - self.levels[i])

    def loss(self, clean: torch.Tensor, embeds: torch.Tensor, shape: tuple[int, int, int]) -> torch.Tensor:
        """Squared error of the mean velocity over one interval, weighted by the interval's length."""
        i = int(torch.randint(0, len(self.levels) - 1, ()))
        with torch.no_grad():
            x = self.start(clean, i, embeds, shape)
            target = self.target(x, i, embeds, shape)
        # an error in a long interval moves the picture further
        weight = (self.levels[i] - self.levels[i + 1]) * (len(self.levels) - 1)
        return F.mse_loss(self.velocity(x, self.levels[i], embeds, shape), target) * weight


def batch_loss(session, distiller: Distiller, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN001
    """The loss of a batch of training data."""
    _, rows, cols = batch["grid"].shape
    with session.autocast():
        with torch.no_grad():
            clean = normalised(session, session.painter(batch))
            embeds = encode_text(session.text_encoder, batch["ids"], len(session.prefix))
        return distiller.loss(clean, embeds, (1, rows, cols))


def lightning_state(transformer: torch.nn.Module, adapter: str = "default") -> dict[str, torch.Tensor]:
    """The adapter as `lora_down`, `lora_up` and `alpha` by module, as Qwen-Image-Lightning's files hold it."""
    state: dict[str, torch.Tensor] = {}
    for name, value in transformer.state_dict().items():
        for theirs, ours in (
            (f".lora_A.{adapter}.weight", ".lora_down.weight"),
            (f".lora_B.{adapter}.weight", ".lora_up.weight"),
        ):
            if name.endswith(theirs):
                module = name.removesuffix(theirs)
                state[module + ours] = value.detach().to(torch.bfloat16).cpu().contiguous()
                state[module + ".alpha"] = torch.tensor(ALPHA)
    return state


def train(session) -> None:  # noqa: ANN001
    args = session.args
    load(session, args.out / "base.pt")
    # what is stored is bf16: the LoRA must fit those weights
    for part in (session.transformer, session.text_encoder):
        part.to(torch.bfloat16).float().requires_grad_(False)
    session.transformer.add_adapter(
        LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, init_lora_weights=True)
    )
    session.compile()
    parameters = [p for p in session.transformer.parameters() if p.requires_grad]
    session.say("lora", args.steps, sum(p.numel() for p in parameters), "parameters")
    optimiser = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.98), weight_decay=0.0)
    with torch.no_grad(), session.autocast():
        nothing = encode_text(session.text_encoder, session.negative, len(session.prefix))
    distiller, batches = Distiller(session.transformer, args.steps, nothing), session.batches(0.7, 20 + args.steps)
    began, step, mean, early = time.monotonic(), 0, None, False
    budget = 60 * args.minutes - (began - session.began)
    while (spent := time.monotonic() - began) < budget:
        for group in optimiser.param_groups:
            group["lr"] = (
                args.rate * min(1, (step + 1) / 50) * (1 if spent < 0.5 * budget else max(0.01, 2 - 2 * spent / budget))
            )
        loss = batch_loss(session, distiller, next(batches))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step, mean = step + 1, loss.detach() if mean is None else 0.97 * mean + 0.03 * loss.detach()
        if step % 50 == 0 or session.device == "cpu":
            session.say("lora", args.steps, step, f"loss {float(mean):.5f}", f"lr {group['lr']:.1e}")
        if not early and spent > 0.05 * budget:
            early = True
            _write(session, "early")
        if session.device == "cpu" and step >= 2:
            break
    session.say("lora", args.steps, "done", step)
    _write(session, "")


def _write(session, label: str) -> None:  # noqa: ANN001
    folder = session.args.out / "loras"
    folder.mkdir(exist_ok=True)
    name = f"{session.args.steps}step{'-' + label if label else ''}"
    save_file(lightning_state(session.transformer), folder / f"{name}.safetensors", metadata={"format": "pt"})
