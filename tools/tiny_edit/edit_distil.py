"""Distil the guided base into a LoRA for 8 or 4 steps without guidance: `distil.py` of the text-to-image model, with an input beside the noise."""

from __future__ import annotations

import time
from pathlib import Path

import edit_paths  # noqa: F401  (makes the next imports work)
import torch
from distil import KEEP, RATE, Adapter, Distiller
from edit_data import DISTILLED
from edit_flow import places, source_latents
from flow import packed, told
from safetensors.torch import load_file, save_file


class EditScene:
    """What a batch draws on: instructions' embeddings, inputs' tokens and the shape of both frames; `key` names the tensors' shapes."""

    def __init__(self, key: int, embeds: torch.Tensor, source: torch.Tensor, shape: tuple[int, int, int]) -> None:
        self.key, self.embeds, self.source, self.shape = key, embeds, source, shape


class EditDistiller(Distiller):
    """Teacher and student: the transformer without and with its adapter. `guidance` is the teacher's; at 1 it is not guided."""

    guidance = 4.0

    def beside(
        self,
        x: torch.Tensor,
        level: torch.Tensor,
        embeds: torch.Tensor,
        source: torch.Tensor,
        shape: tuple[int, int, int],
    ) -> torch.Tensor:
        """The output's velocity with the input beside it."""
        both = torch.cat([x, source], 1)
        return self.lean.velocity(both, level.expand(len(x)), embeds, shape)[0][:, : x.shape[1]]

    def guided(self, x: torch.Tensor, level: float, scene: EditScene) -> torch.Tensor:  # type: ignore[override]
        def velocity(x: torch.Tensor, level: torch.Tensor, embeds: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
            said = self.beside(x, level, embeds, source, scene.shape).detach()
            if self.guidance <= 1:
                return said
            unsaid = self.beside(x, level, self.nothing.expand(len(x), -1, -1), source, scene.shape).detach()
            both = unsaid + self.guidance * (said - unsaid)
            return both * (said.norm(dim=-1, keepdim=True) / both.norm(dim=-1, keepdim=True))

        return self.recorder.call((scene.key, "guided"), velocity, x, self.level(level), scene.embeds, scene.source)

    def own(self, x: torch.Tensor, level: float, scene: EditScene) -> torch.Tensor:  # type: ignore[override]
        def velocity(x: torch.Tensor, level: torch.Tensor, embeds: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
            return self.beside(x, level, embeds, source, scene.shape)

        return self.recorder.call((scene.key, "own"), velocity, x, self.level(level), scene.embeds, scene.source)

    def loss(self, clean: torch.Tensor, scene: EditScene, changed: torch.Tensor | None = None) -> torch.Tensor:  # type: ignore[override]
        """Squared error of the mean velocity over one interval, by its length; `changed` [B, tokens] weighs 3 beside 1."""
        i = int(torch.randint(0, len(self.levels) - 1, ()))
        x = self.start(clean, i, scene)  # type: ignore[arg-type]
        target = self.target(x, i, scene)  # type: ignore[arg-type]
        self.adapter.on()
        length = (self.levels[i] - self.levels[i + 1]) * (len(self.levels) - 1)
        found = self.beside(x, self.level(self.levels[i]), scene.embeds, scene.source, scene.shape)
        squares = (found - target).pow(2).mean(-1)
        weight = torch.ones_like(squares) if changed is None else 1 + 2 * changed
        return (weight * squares).mean() / weight.mean() * length


def clean_latents(session, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:  # noqa: ANN001
    """Tokens of the inputs, and of the outputs with the new text at the place that it has."""
    with session.autocast(), torch.no_grad():
        source = source_latents(session, batch)
        every = places(session, batch, source)
        rows = batch["line"].shape[1]
        by_row = every.unflatten(2, (rows, -1))
        clean = torch.einsum("nkr,knrcd->nrcd", told(batch["right"]).to(by_row.dtype), by_row)
        return packed(source).float(), clean.flatten(1, 2).float()


def batch_loss(session, distiller: EditDistiller, number: int, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN001
    _, rows, cols = batch["source"].shape
    source, clean = clean_latents(session, batch)
    # gradients recorded and dropped: as compiled for training the base
    embeds = session.encode(batch["ids"]).detach()
    changed = batch["line"].repeat_interleave(cols, 1).float()
    return distiller.loss(clean, EditScene(number, embeds, source, (2, rows, cols)), changed)


def train_lora(session, steps: int, budget: float, guidance: float, progress) -> None:  # noqa: ANN001
    """Distil one LoRA in `budget` seconds and write it to `<out>/loras`; the transformer is the base again afterwards.

    What `progress` says was spent before is taken off, and the file that it left is gone on from. A 4-step LoRA begins with the 8-step one where there is
    one: most of both is what guidance adds.
    """
    # what is stored is bf16: the LoRA must fit those weights
    with torch.no_grad():
        for p in [*session.transformer.parameters(), *session.text_encoder.parameters()]:
            p.copy_(p.to(torch.bfloat16))
    name, folder = f"{steps}step", session.args.out / "loras"
    adapter = Adapter(session.transformer)
    already = progress.spent(name)
    beginnings = ([name] if already else []) + (["8step"] if steps == 4 else [])
    known = next((path for n in beginnings if (path := folder / f"{n}.safetensors").exists()), None)
    if known:
        adapter.take(load_file(known))
        session.say("lora", steps, "begins with", known.name, f"after {already:.0f} s")
    parameters, weights = adapter.parameters(), list(session.transformer.parameters())
    optimiser = torch.optim.AdamW(parameters, RATE, betas=(0.9, 0.98), weight_decay=0.0)
    nothing = session.encode(session.negative.expand(2, -1))[:1].detach()
    distiller = EditDistiller(session.lean, adapter, steps, nothing, record=session.records)
    distiller.guidance = guidance
    batches = session.batches(20 + steps, DISTILLED)
    began, step, mean, kept = time.monotonic() - already, 0, None, already
    while (spent := time.monotonic() - began) < budget:
        fall = 1 if spent < 0.5 * budget else max(0.01, 2 - 2 * spent / budget)
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 30) * fall
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
        if spent > kept + KEEP:
            kept = spent
            write_lora(folder, adapter, steps)
            progress.keep(name, spent)
        if session.device == "cpu" and step >= session.args.cpu_steps:
            break
    session.say("lora", steps, "done", step)
    if step:
        write_lora(folder, adapter, steps)
    progress.keep(name, budget)
    adapter.off()


def write_lora(folder: Path, adapter: Adapter, steps: int) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"{steps}step.safetensors"
    save_file(adapter.lightning_state(), path.with_suffix(".tmp"), metadata={"format": "pt"})
    path.with_suffix(".tmp").replace(path)
