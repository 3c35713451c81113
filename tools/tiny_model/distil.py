"""Distil the base's 50 guided steps into a LoRA for 8 or 4 steps without guidance, in the Lightning file format.

For each interval [s_i, s_i+1] of the shift-3 scheduler the teacher (base, CFG 4, the pipeline's norm-preserving guidance)
takes `SUB` Euler steps; the student learns the mean velocity over the interval. Most starting points are the student's own way
down, so that it learns to fix what it drew; the others are noised images.
"""

from __future__ import annotations

import re
import time
from itertools import pairwise

import data
import torch
import torch.nn.functional as F
from buckets import distilled
from flow import encoded, packed
from fused_model import Lean
from safetensors.torch import save_file

from engine import Recorder

RANK, ALPHA, GUIDANCE = 8, 8.0, 4.0
SUB = {8: 3, 4: 4}
RATE = 1e-3
#: share of starting points that are noised images; the others are the student's own way down
NOISED = 0.2
#: seconds between two writings of the LoRA
KEEP = 30
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


class Adapter:
    """A LoRA whose product is merged into the transformer's weights before each of the student's forwards.

    The merged weights' gradient G gives those of the factors by the chain rule: dA = scale B^T G, dB = scale G A^T. So one
    transformer serves as teacher and student, compiled once for training the base, and no layer is wrapped.
    """

    def __init__(self, transformer: torch.nn.Module) -> None:
        found = re.compile(TARGETS)
        modules = {
            n: m for n, m in transformer.named_modules() if isinstance(m, torch.nn.Linear) and found.fullmatch(n)
        }
        self.shapes: dict[torch.Size, list[str]] = {}
        for name, module in modules.items():
            self.shapes.setdefault(module.weight.shape, []).append(name)
        self.weights = {s: [modules[n].weight for n in names] for s, names in self.shapes.items()}
        self.base = {s: torch.stack([w.detach() for w in ws]) for s, ws in self.weights.items()}
        device = next(transformer.parameters()).device
        self.down = {
            s: torch.nn.Parameter(torch.randn(len(ws), RANK, s[1], device=device) / s[1] ** 0.5)
            for s, ws in self.weights.items()
        }
        self.up = {
            s: torch.nn.Parameter(torch.zeros(len(ws), s[0], RANK, device=device)) for s, ws in self.weights.items()
        }
        self.scale = ALPHA / RANK

    def parameters(self) -> list[torch.nn.Parameter]:
        return [*self.down.values(), *self.up.values()]

    @torch.no_grad()
    def off(self) -> None:
        """The teacher: the base's own weights."""
        for shape, weights in self.weights.items():
            torch._foreach_copy_(weights, list(self.base[shape].unbind()))

    @torch.no_grad()
    def on(self) -> None:
        """The student: base plus LoRA."""
        for shape, weights in self.weights.items():
            merged = self.base[shape] + self.scale * self.up[shape] @ self.down[shape]
            torch._foreach_copy_(weights, list(merged.unbind()))

    @torch.no_grad()
    def pull(self) -> None:
        """Gradients of the factors from those of the weights."""
        for shape, weights in self.weights.items():
            # the last block's text stream leads nowhere: no gradient
            grad = torch.stack([torch.zeros_like(w) if w.grad is None else w.grad for w in weights])
            self.down[shape].grad = self.scale * self.up[shape].mT @ grad
            self.up[shape].grad = self.scale * grad @ self.down[shape].mT

    @torch.no_grad()
    def take(self, state: dict[str, torch.Tensor]) -> None:
        """Take the factors from what `lightning_state` returned."""
        for shape, names in self.shapes.items():
            for i, name in enumerate(names):
                self.down[shape][i].copy_(state[name + ".lora_down.weight"])
                self.up[shape][i].copy_(state[name + ".lora_up.weight"])

    def lightning_state(self) -> dict[str, torch.Tensor]:
        """`lora_down`, `lora_up` and `alpha` by module, as Qwen-Image-Lightning's files hold them."""
        state: dict[str, torch.Tensor] = {}
        for shape, names in self.shapes.items():
            for i, name in enumerate(names):
                for key, value in ((".lora_down.weight", self.down[shape][i]), (".lora_up.weight", self.up[shape][i])):
                    state[name + key] = value.detach().to(torch.bfloat16).cpu().contiguous()
                state[name + ".alpha"] = torch.tensor(ALPHA)
        return dict(sorted(state.items()))


class Scene:
    """What a batch draws: prompts' embeddings and the latents' shape; `key` names the tensors' shapes."""

    def __init__(self, key: int, embeds: torch.Tensor, shape: tuple[int, int, int]) -> None:
        self.key, self.embeds, self.shape = key, embeds, shape


class Distiller:
    """Teacher and student of one LoRA: the transformer without and with its adapter.

    Both are recorded with gradients that are dropped: a second compilation without them would take longer than it saves.
    """

    def __init__(self, lean: Lean, adapter: Adapter, steps: int, nothing: torch.Tensor, *, record: bool) -> None:
        self.lean, self.adapter, self.nothing = lean, adapter, nothing
        self.levels, self.sub, self.recorder = levels(steps), SUB[steps], Recorder(record=record)
        self.held: dict[float, torch.Tensor] = {}

    def level(self, value: float) -> torch.Tensor:
        """The noise level as a tensor on the device."""
        if value not in self.held:
            self.held[value] = torch.tensor(value, device=self.nothing.device)
        return self.held[value]

    def velocity(
        self, x: torch.Tensor, level: torch.Tensor, embeds: torch.Tensor, shape: tuple[int, int, int]
    ) -> torch.Tensor:
        return self.lean.velocity(x, level.expand(len(x)), embeds, shape)[0]

    def guided(self, x: torch.Tensor, level: float, scene: Scene) -> torch.Tensor:
        """The teacher's velocity, as `QwenImagePipeline` guides it."""

        def velocity(x: torch.Tensor, level: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
            told = self.velocity(x, level, embeds, scene.shape).detach()
            untold = self.velocity(x, level, self.nothing.expand(len(x), -1, -1), scene.shape).detach()
            both = untold + GUIDANCE * (told - untold)
            return both * (told.norm(dim=-1, keepdim=True) / both.norm(dim=-1, keepdim=True))

        return self.recorder.call((scene.key, "guided"), velocity, x, self.level(level), scene.embeds)

    def own(self, x: torch.Tensor, level: float, scene: Scene) -> torch.Tensor:
        """The student's velocity without gradients."""

        def velocity(x: torch.Tensor, level: torch.Tensor, embeds: torch.Tensor) -> torch.Tensor:
            return self.velocity(x, level, embeds, scene.shape)

        return self.recorder.call((scene.key, "own"), velocity, x, self.level(level), scene.embeds)

    def own_way(self, x: torch.Tensor, steps: int, scene: Scene) -> torch.Tensor:
        """Where the student comes to from noise in some steps."""
        for high, low in pairwise(self.levels[: steps + 1]):
            x = x + (low - high) * self.own(x, high, scene)
        return x

    def start(self, clean: torch.Tensor, i: int, scene: Scene) -> torch.Tensor:
        noise = torch.randn_like(clean)
        if i == 0:
            return noise
        if torch.rand(()) < NOISED:
            return (1 - self.levels[i]) * clean + self.levels[i] * noise
        self.adapter.on()
        return self.own_way(noise, i, scene)

    def target(self, x: torch.Tensor, i: int, scene: Scene) -> torch.Tensor:
        """The teacher's mean velocity from level i to level i + 1."""
        self.adapter.off()
        way, y = _between(self.levels[i], self.levels[i + 1], self.sub), x
        for high, low in pairwise(way):
            y = y + (low - high) * self.guided(y, high, scene)
        return (y - x) / (self.levels[i + 1] - self.levels[i])

    def loss(self, clean: torch.Tensor, scene: Scene) -> torch.Tensor:
        """Squared error of the mean velocity over one interval, weighted by the interval's length."""
        i = int(torch.randint(0, len(self.levels) - 1, ()))
        x = self.start(clean, i, scene)
        target = self.target(x, i, scene)
        self.adapter.on()
        # an error in a long interval moves the image further
        weight = (self.levels[i] - self.levels[i + 1]) * (len(self.levels) - 1)
        return F.mse_loss(self.velocity(x, self.level(self.levels[i]), scene.embeds, scene.shape), target) * weight


def batch_loss(session, distiller: Distiller, number: int, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN001
    """The loss of a batch of training data of the bucket `number`."""
    _, rows, cols = batch["grid"].shape
    with session.autocast(), torch.no_grad():
        clean = packed(encoded(session, session.painter(batch)))
    # gradients recorded and dropped: as compiled for training the base
    embeds = session.encode(batch["ids"]).detach()
    return distiller.loss(clean, Scene(number, embeds, (1, rows, cols)))


def train(session, steps: int, budget: float) -> None:  # noqa: ANN001
    """Distil one LoRA in `budget` seconds and write it to `<out>/loras`; the transformer is the base again afterwards."""
    rate = RATE
    # what is stored is bf16: the LoRA must fit those weights
    with torch.no_grad():
        for p in [*session.transformer.parameters(), *session.text_encoder.parameters()]:
            p.copy_(p.to(torch.bfloat16))
    adapter = Adapter(session.transformer)
    parameters, weights = adapter.parameters(), list(session.transformer.parameters())
    session.say("lora", steps, sum(p.numel() for p in parameters), "parameters")
    optimiser = torch.optim.AdamW(parameters, rate, betas=(0.9, 0.98), weight_decay=0.0)
    nothing = session.encode(session.negative.expand(2, -1))[:1].detach()
    distiller = Distiller(session.lean, adapter, steps, nothing, record=session.records)
    batches = session.batches(20 + steps, only=distilled(data.BATCH_TOKENS, len(session.suffix)))
    began, written, step, mean, early = time.monotonic(), 0.0, 0, None, False
    while (spent := time.monotonic() - began) < budget:
        for group in optimiser.param_groups:
            group["lr"] = (
                rate * min(1, (step + 1) / 30) * (1 if spent < 0.5 * budget else max(0.01, 2 - 2 * spent / budget))
            )
        loss = batch_loss(session, distiller, *next(batches))
        for p in weights:
            p.grad = None
        loss.backward()
        adapter.pull()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step, mean = step + 1, loss.detach() if mean is None else 0.97 * mean + 0.03 * loss.detach()
        if step % 50 == 0 or session.device == "cpu":
            session.say("lora", steps, step, f"loss {float(mean):.5f}", f"lr {group['lr']:.1e}")
            if distiller.recorder.said:
                session.say(distiller.recorder.said)
                distiller.recorder.said = None
        if not early and spent > 0.05 * budget:
            early = True
            _write(session, adapter, f"{steps}step-early")
        if spent > written + KEEP:
            written = spent
            _write(session, adapter, f"{steps}step")
        if session.device == "cpu" and step >= 2:
            break
    session.say("lora", steps, "done", step)
    _write(session, adapter, f"{steps}step")
    adapter.off()


def _write(session, adapter: Adapter, name: str) -> None:  # noqa: ANN001
    folder = session.args.out / "loras"
    folder.mkdir(exist_ok=True)
    save_file(adapter.lightning_state(), folder / f"{name}.safetensors", metadata={"format": "pt"})
