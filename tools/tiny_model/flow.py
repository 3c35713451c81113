"""First the VAE, then transformer and text encoder by flow matching with auxiliary losses.

Flow matching (Lipman et al., 2023; the form of Liu et al.'s rectified flow): x_s = (1 - s) x_0 + s e, the model predicts e - x_0.
The auxiliary heads tell the text encoder which character of which text a token is, the transformer's text stream where it
stands, its image stream where it is and which glyph it shows. They are thrown away after the training.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from data import FONTS, MAX_INDEX, MAX_OFFSET
from diffusers import AutoencoderKLQwenImage, QwenImagePipeline
from models import WIDTH
from muon import Muon

#: blocks (from 0) whose output the heads read
WHERE_BLOCK, WHICH_BLOCK = 2, 4
#: share of steps without a prompt, for classifier-free guidance
UNCONDITIONAL = 0.1
PLACES = 80
#: noise levels for each picture of a batch: latents and prompt are encoded once for all
DRAWS = 2
MORE_DRAWS = 4
#: weights of the auxiliary losses
AUXILIARY = {"index": 0.05, "offset": 0.05, "row": 0.05, "col": 0.05, "y": 0.05, "x": 0.05, "glyph": 0.1}
#: largest canvas of the VAE's own training, in tokens
CROP = 12


def sigmas(count: int, device: str) -> torch.Tensor:
    """Noise levels: logit-normal, shifted by 3 as Lightning's scheduler does, with more weight near pure noise."""
    s = torch.sigmoid(1.2 * torch.randn(count, device=device))
    s = 3 * s / (1 + 2 * s)
    near_one = 1 - 0.02 * torch.rand(count, device=device)
    return torch.where(torch.rand(count, device=device) < 0.15, near_one, s)


def normalised(session, pictures: torch.Tensor) -> torch.Tensor:  # noqa: ANN001
    """Packed latents [B, tokens, 64] of pictures, zero mean and unit variance by channel."""
    z = session.vae.encode(pictures[:, :, None]).latent_dist.mode()[:, :, 0].float()
    z = (z - session.mean) / session.std
    return QwenImagePipeline._pack_latents(z, z.shape[0], 16, z.shape[2], z.shape[3])


def take_statistics(session) -> None:  # noqa: ANN001
    config = session.vae.config
    session.mean = torch.tensor(config.latents_mean, device=session.device).view(1, -1, 1, 1)
    session.std = torch.tensor(config.latents_std, device=session.device).view(1, -1, 1, 1)


def _crops(session, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN001
    """Dense little pictures: on sparse canvases the VAE learns the ground first and the glyphs late."""
    glyphs, device = session.glyphs, session.device
    size, rows, cols = 48 if device == "cuda" else 2, 4, CROP
    wide = torch.randint(0, len(glyphs.wide), (size, rows // 2, cols // 2), device=device)
    first = 1 + 2 * len(glyphs.narrow) + 4 * wide
    corner = torch.tensor([[0, 1], [2, 3]], device=device)
    grid = (first[:, :, None, :, None] + corner[None, None, :, None, :]).reshape(size, rows, cols)
    narrow = 1 + 2 * torch.randint(0, len(glyphs.narrow), (size, rows // 2, cols), device=device)
    slim = (narrow[:, :, None] + torch.arange(2, device=device)[None, None, :, None]).reshape(size, rows, cols)
    grid = torch.where(torch.rand(size, 1, 1, device=device) < 0.35, slim, grid)
    grid[
        torch.rand(size, rows // 2, 1, cols // 2, 1, device=device).expand(-1, -1, 2, -1, 2).reshape(grid.shape) < 0.12
    ] = 0
    pick = lambda n: torch.randint(0, n, (size,), device=device)  # noqa: E731
    return session.painter({"grid": grid, "font": pick(len(FONTS)), "style": pick(4), "palette": pick(3)})


def train_vae(session) -> None:  # noqa: ANN001
    vae, budget = session.vae.train(), 60 * session.args.vae_minutes
    parameters = list(vae.parameters())
    optimiser = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.0, fused=session.device == "cuda")
    torch.backends.cudnn.benchmark = True
    began, step = time.monotonic(), 0
    while (spent := session.spent(began)) < budget:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * max(0.02, 1 - spent / budget)
        pictures = _crops(session, {})
        # TF32 throughout: its kernels are so small that the casts of mixed precision cost more than they save
        posterior = vae.encode(pictures[:, :, None]).latent_dist
        decoded = vae.decode(posterior.sample(), return_dict=False)[0][:, :, 0]
        error = F.l1_loss(decoded, pictures) + F.mse_loss(decoded, pictures)
        loss = error + 1e-6 * posterior.kl().mean() / posterior.mean[0].numel()
        optimiser.zero_grad()
        loss.backward()
        session.average(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 200 == 0:
            session.say("vae", step, f"loss {error.item():.4f}")
        step += 1
        if session.device == "cpu" and step >= 4:
            break
    torch.backends.cudnn.benchmark = False
    vae.eval().requires_grad_(False)
    with torch.no_grad(), session.autocast():
        batches = session.batches(0.5, 7)
        z = [vae.encode(session.painter(next(batches))[:32, :, None]).latent_dist.mode().float() for _ in range(8)]
        flat = torch.cat([x.permute(1, 0, 2, 3, 4).flatten(1) for x in z], 1)
    vae.register_to_config(latents_mean=flat.mean(1).tolist(), latents_std=flat.std(1).tolist())
    if session.world > 1:
        for value in ("latents_mean", "latents_std"):
            shared = torch.tensor(vae.config[value], device=session.device)
            torch.distributed.broadcast(shared, 0)
            vae.register_to_config(**{value: shared.tolist()})
    session.say("vae done", step, "latent std", [round(s, 2) for s in vae.config.latents_std])


class Heads(torch.nn.Module):
    """Linear heads of the auxiliary losses."""

    def __init__(self, glyphs: int) -> None:
        super().__init__()
        self.index, self.offset = torch.nn.Linear(WIDTH, MAX_INDEX), torch.nn.Linear(WIDTH, MAX_OFFSET)
        self.row, self.col = torch.nn.Linear(WIDTH, PLACES), torch.nn.Linear(WIDTH, PLACES)
        self.image_row, self.image_col = torch.nn.Linear(WIDTH, PLACES), torch.nn.Linear(WIDTH, PLACES)
        self.glyph = torch.nn.Linear(WIDTH, glyphs)


def _cross(head: torch.nn.Linear, states: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the tokens that have a target (others are -100)."""
    return F.cross_entropy(head(states).float().flatten(0, 1), target.flatten(), ignore_index=-100)


class Objective:
    """The loss of one batch, and its parts for the log."""

    def __init__(self, session, heads: Heads) -> None:  # noqa: ANN001
        self.session, self.heads, self.states, self.draws = session, heads, {}, DRAWS
        self.glyph_of = torch.from_numpy(session.glyphs.glyph_of_patch()).to(session.device)
        for block in (WHERE_BLOCK, WHICH_BLOCK):
            session.transformer.transformer_blocks[block].register_forward_hook(self._keep(block))

    def _keep(self, block: int):  # noqa: ANN202
        def hook(_module: object, _inputs: object, output: tuple[torch.Tensor, torch.Tensor]) -> None:
            self.states[block] = output

        return hook

    def __call__(
        self, batch: dict[str, torch.Tensor], *, conditional: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        session = self.session
        size, rows, cols = batch["grid"].shape
        with session.autocast():
            with torch.no_grad():
                clean = normalised(session, session.painter(batch))
            ids = batch["ids"] if conditional else session.negative.expand(size, -1)
            embeds = session.encode(ids)
            embeds, clean = embeds.repeat(self.draws, 1, 1), clean.repeat(self.draws, 1, 1)
            level, noise = sigmas(len(clean), session.device), torch.randn_like(clean)
            mixed = (1 - level)[:, None, None] * clean + level[:, None, None] * noise
            velocity = session.transformer(
                hidden_states=mixed,
                timestep=level,
                encoder_hidden_states=embeds,
                encoder_hidden_states_mask=None,
                img_shapes=[[(1, rows, cols)]] * len(clean),
                return_dict=False,
            )[0]
            parts = {"flow": F.mse_loss(velocity.float(), noise - clean)}
            if conditional:
                parts |= self._auxiliary(batch, embeds[:size])
        loss = parts["flow"] + sum(AUXILIARY[k] * v for k, v in parts.items() if k != "flow")
        return loss, parts

    def _auxiliary(self, batch: dict[str, torch.Tensor], embeds: torch.Tensor) -> dict[str, torch.Tensor]:
        heads = self.heads
        text, image = self.states[WHERE_BLOCK]
        _, late = self.states[WHICH_BLOCK]
        size, rows, cols = batch["grid"].shape
        row = torch.arange(rows, device=image.device)[:, None].expand(rows, cols).reshape(-1)
        col = torch.arange(cols, device=image.device)[None].expand(rows, cols).reshape(-1)
        some = torch.randperm(rows * cols, device=image.device)[: max(64, rows * cols // 3)]
        shown = self.glyph_of[batch["grid"]].reshape(size, -1)[:, some].repeat(self.draws, 1)
        size = len(image)
        return {
            "index": _cross(heads.index, embeds, batch["index"]),
            "offset": _cross(heads.offset, embeds, batch["offset"]),
            "row": _cross(heads.row, text, batch["row"].repeat(self.draws, 1)),
            "col": _cross(heads.col, text, batch["col"].repeat(self.draws, 1)),
            "y": _cross(heads.image_row, image[:, some], row[some].expand(size, -1)),
            "x": _cross(heads.image_col, image[:, some], col[some].expand(size, -1)),
            "glyph": _cross(heads.glyph, late[:, some], shown),
        }


def _rate(spent: float, budget: float, step: int, peak: float) -> float:
    """Warm-up, a plateau, and a linear fall over the last 45 per cent of the time."""
    fall = 1.0 if spent < 0.55 * budget else max(0.01, (budget - spent) / (0.45 * budget))
    return peak * min(1.0, (step + 1) / 250) * fall


def use_vae(session) -> None:  # noqa: ANN001
    """Take the VAE of an exported model instead of training one."""
    known = AutoencoderKLQwenImage.from_pretrained(session.args.vae)
    session.vae.load_state_dict(known.state_dict())
    session.vae.register_to_config(latents_mean=known.config.latents_mean, latents_std=known.config.latents_std)
    session.say("VAE taken from", session.args.vae)


def build_optimisers(session, heads: Heads) -> list[torch.optim.Optimizer]:  # noqa: ANN001
    """Muon for the matrices inside the blocks; AdamW for embeddings, projections in and out, heads, and vectors."""
    language = session.text_encoder.model.language_model
    blocks = [session.transformer.transformer_blocks, language.layers]
    matrices = [p for b in blocks for p in b.parameters() if p.ndim == 2]
    known = {id(p) for p in matrices}
    others = [*session.transformer.parameters(), *language.parameters(), *heads.parameters()]
    others = [p for p in others if id(p) not in known]
    adam = torch.optim.AdamW(
        others, session.args.rate, betas=(0.9, 0.98), weight_decay=0.0, fused=session.device == "cuda"
    )
    return [Muon(matrices, session.args.rate), adam]


def train(session) -> None:  # noqa: ANN001
    args, path = session.args, session.args.out / "base.pt"
    heads = Heads(session.glyphs.count).to(session.device)
    parameters = [
        *session.transformer.parameters(),
        *session.text_encoder.model.language_model.parameters(),
        *heads.parameters(),
    ]
    optimisers = build_optimisers(session, heads)
    step = 0
    if path.exists():
        step = _resume(session, path, heads, optimisers)
    elif args.vae:
        use_vae(session)
    else:
        train_vae(session)
    take_statistics(session)
    session.vae.eval().requires_grad_(False)
    session.compile()
    objective = Objective(session, heads)
    _loop(session, objective, parameters, optimisers, step, path, heads)


class Pace:
    """Chooses how many noise levels each picture gets: more, where a step then takes less than 1.6 times as long.

    A step of so small a model may be bound by launching kernels, and then more work in each is nearly free. Steps 150 to 300 are
    timed with the few and 300 to 450 with the many; before that the compiler is at work.
    """

    def __init__(self, session, objective: Objective) -> None:  # noqa: ANN001
        self.session, self.objective, self.at = session, objective, {}

    def __call__(self, step: int) -> None:
        if self.session.device == "cpu" or step not in (150, 300, 350, 500):
            return
        torch.cuda.synchronize()
        self.at[step] = time.monotonic()
        if step == 300:
            self.objective.draws = MORE_DRAWS
        if step == 500 and 150 in self.at:
            few, many = (self.at[300] - self.at[150]) / 150, (self.at[500] - self.at[350]) / 150
            self.objective.draws = MORE_DRAWS if many < 1.6 * few else DRAWS
            self.session.say(
                f"{1e3 * few:.0f} ms a step with {DRAWS} draws, {1e3 * many:.0f} ms with {MORE_DRAWS}:",
                self.objective.draws,
            )


def _loop(session, objective, parameters, optimisers, step: int, path, heads) -> None:  # noqa: ANN001
    began, budget = time.monotonic(), 60 * session.args.minutes - session.spent(session.began)
    late, saved, seen = 0.0, time.monotonic(), {}
    batches = session.batches(late, 1)
    pictures, pace = 0, Pace(session, objective)
    while (spent := session.spent(began)) < budget:
        if late < 0.5 and spent > 0.2 * budget:
            late, batches = 0.6, session.batches(0.6, 2)
        elif late < 1 and spent > 0.5 * budget:
            late, batches = 1.0, session.batches(1.0, 3)
        batch = next(batches)
        rate = _rate(spent, budget, step, session.args.rate)
        for group in (g for o in optimisers for g in o.param_groups):
            group["lr"] = rate
        conditional = bool(torch.rand(()) >= UNCONDITIONAL)
        loss, parts = objective(batch, conditional=conditional)
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        session.average(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in optimisers:
            optimiser.step()
        step, pictures = step + 1, pictures + len(batch["ids"])
        pace(step)
        if conditional:
            for name, value in parts.items():
                seen[name] = value.detach() if name not in seen else 0.97 * seen[name] + 0.03 * value.detach()
        if step % 200 == 0 or session.device == "cpu":
            session.say(step, pictures, {k: round(float(v), 4) for k, v in seen.items()}, f"lr {rate:.1e}")
        if session.rank == 0 and time.monotonic() - saved > 120:
            _save(session, path, heads, optimisers, step)
            saved = time.monotonic()
        if session.device == "cpu" and step >= 6:
            break
    if session.rank == 0:
        _save(session, path, heads, optimisers, step)
    session.say(
        "done", step, "steps", pictures, "pictures on this GPU", {k: round(float(v), 4) for k, v in seen.items()}
    )


def _state(session, heads: Heads) -> dict[str, object]:  # noqa: ANN001
    return {k: m.state_dict() for k, m in session.parts().items()} | {"heads": heads.state_dict()}


def _save(session, path, heads, optimisers, step: int) -> None:  # noqa: ANN001
    state = _state(session, heads) | {"optimisers": [o.state_dict() for o in optimisers], "step": step}
    state["latents"] = (session.vae.config.latents_mean, session.vae.config.latents_std)
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def load(session, path) -> dict[str, object]:  # noqa: ANN001
    """Load vae, transformer and text encoder from a checkpoint."""
    state = torch.load(path, map_location=session.device, weights_only=True)
    for name, module in session.parts().items():
        module.load_state_dict(state[name])
    mean, std = state["latents"]
    session.vae.register_to_config(latents_mean=list(mean), latents_std=list(std))
    take_statistics(session)
    session.vae.eval().requires_grad_(False)
    return state


def _resume(session, path, heads: Heads, optimisers) -> int:  # noqa: ANN001
    state = load(session, path)
    heads.load_state_dict(state["heads"])
    for optimiser, held in zip(optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(held)
    session.say("resumed at step", state["step"])
    return int(state["step"])
