"""First the VAE, then transformer and text encoder by flow matching with auxiliary losses.

Flow matching (Lipman et al., 2023; the form of Liu et al.'s rectified flow): x_s = (1 - s) x_0 + s e, the model predicts e - x_0.
The auxiliary heads tell the text encoder which character of which text a token is, the transformer's text stream where it
stands, its image stream where it is, and which glyph it shows. They are thrown away after the training.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from data import MAX_INDEX, MAX_OFFSET
from diffusers import AutoencoderKLQwenImage, QwenImagePipeline
from image import Scribbler
from layout import MARGIN, PLACES
from models import WIDTH
from muon import Muon
from pack_weights import read_weights, write_weights

from engine import Engine

#: blocks (from 0) whose output the heads read
WHERE_BLOCK, WHICH_BLOCK = 2, 4
#: share of batches that are shown without their prompt, for classifier-free guidance. Of the case files' batches alone 30 per cent
#: were too little: guidance of 4 takes what the unconditional model is wrong by three times
UNCONDITIONAL = 0.2
#: rows and columns of tokens that the heads tell
SIDE = 80
#: noise levels for each image of a batch: latents and prompt are encoded once for all
DRAWS = 3
#: of the noise levels: half of them are above 0.8
SHIFT = 4.0
#: in the last of them lines are between their places, at noise from this level on: `undecided`
DECIDED = 0.88
#: standard deviation of the latents that the model sees (`latents_std` of the VAE's configuration). Not 1, as usual: each token of these small
#: images is a glyph or a part of one, and where a line of 8 to 60 of them stands would be decided between noise 0.99 and 0.91 (distance of
#: the places 1 and 3 times the noise; its square is 120 a token with ink), before a few-step sampler's second step. At 0.3 it is between 0.96 and 0.76
DEVIATION = 0.3
#: weight of a token with ink while the rate is high; most of an image is ground. As the rate falls all count the same: where chance
#: decides what a token shows, a weighted mean leans to ink
INK = 2.0
#: weights of the auxiliary losses
AUXILIARY = {"index": 0.05, "offset": 0.05, "row": 0.05, "col": 0.05, "y": 0.05, "x": 0.05, "glyph": 0.1}
#: images in a step of the VAE's own training, rows and columns of tokens
CROPS = (48, 4, 12)


def sigmas(count: int, device: str) -> torch.Tensor:
    """Noise levels: logit-normal, shifted, with more weight near pure noise."""
    s = torch.sigmoid(1.2 * torch.randn(count, device=device))
    s = SHIFT * s / (1 + (SHIFT - 1) * s)
    near_one = 1 - 0.02 * torch.rand(count, device=device)
    return torch.where(torch.rand(count, device=device) < 0.05, near_one, s)


def encoded(session, images: torch.Tensor) -> torch.Tensor:  # noqa: ANN001
    """Latents [B, 16, H / 8, W / 8] of images, zero mean and deviation `DEVIATION` by channel."""
    z = session.vae.encode(images[:, :, None]).latent_dist.mode()[:, :, 0].float()
    return (z - session.mean) / session.std


def packed(z: torch.Tensor) -> torch.Tensor:
    """Latents as the transformer takes them, [B, tokens, 64]."""
    return QwenImagePipeline._pack_latents(z, z.shape[0], 16, z.shape[2], z.shape[3])


def take_statistics(session) -> None:  # noqa: ANN001
    config = session.vae.config
    session.mean = torch.tensor(config.latents_mean, device=session.device).view(1, -1, 1, 1)
    session.std = torch.tensor(config.latents_std, device=session.device).view(1, -1, 1, 1)


def pixel_error(decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """L1 and L2 together: what a VAE's error is measured by."""
    return F.l1_loss(decoded, images) + F.mse_loss(decoded, images)


def train_vae(session) -> None:  # noqa: ANN001
    vae, budget = session.vae.train(), 60 * session.args.vae_minutes
    parameters = list(vae.parameters())
    optimiser = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.0, fused=session.device == "cuda")
    torch.backends.cudnn.benchmark = True
    scribbler = Scribbler(session.painter, session.glyphs, session.device)
    began, step = time.monotonic(), 0
    while (spent := time.monotonic() - began) < budget:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * max(0.02, 1 - spent / budget)
        images = scribbler(*CROPS)
        # TF32 throughout: its kernels are so small that the casts of mixed precision cost more than they save
        posterior = vae.encode(images[:, :, None]).latent_dist
        decoded = vae.decode(posterior.sample(), return_dict=False)[0][:, :, 0]
        error = pixel_error(decoded, images)
        loss = error + 1e-6 * posterior.kl().mean() / posterior.mean[0].numel()
        optimiser.zero_grad()
        loss.backward()
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
        batches = session.batches(7)
        z = [vae.encode(session.painter(next(batches)[1])[:32, :, None]).latent_dist.mode().float() for _ in range(8)]
        flat = torch.cat([x.permute(1, 0, 2, 3, 4).flatten(1) for x in z], 1)
    vae.register_to_config(latents_mean=flat.mean(1).tolist(), latents_std=(flat.std(1) / DEVIATION).tolist())
    session.say("vae done", step, "latent std", [round(s, 2) for s in vae.config.latents_std])


class Heads(torch.nn.Module):
    """Linear heads of the auxiliary losses."""

    def __init__(self, glyphs: int) -> None:
        super().__init__()
        self.index, self.offset = torch.nn.Linear(WIDTH, MAX_INDEX), torch.nn.Linear(WIDTH, MAX_OFFSET)
        self.row, self.col = torch.nn.Linear(WIDTH, SIDE), torch.nn.Linear(WIDTH, SIDE)
        self.image_row, self.image_col = torch.nn.Linear(WIDTH, SIDE), torch.nn.Linear(WIDTH, SIDE)
        self.glyph = torch.nn.Linear(WIDTH, glyphs)


def _cross(head: torch.nn.Linear, states: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the tokens that have a target (others are -100)."""
    return F.cross_entropy(head(states).float().flatten(0, 1), target.flatten(), ignore_index=-100)


def leftmost(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same images with all lines at their first place, and a margin of `MARGIN` tokens more at both sides."""
    grid = F.pad(batch["grid"], (MARGIN, MARGIN))
    cols = torch.arange(grid.shape[2], device=grid.device)
    # margins are blank, so that a line's end comes in again as a margin
    return batch | {"grid": grid.gather(2, (cols + batch["right"][..., None]) % len(cols))}


def everywhere(session, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN001
    """Latents [places, B, tokens, 64] of the images with all lines at each of their places.

    Windows of one wider image's latents: encoding is most of a step's time. The encoder moves with its image but for its padding: against latents of
    each image by itself, 1 per cent of the ink's variance is different, most of it in the two outermost columns.
    """
    z = encoded(session, session.painter(leftmost(batch)))
    return torch.stack([packed(window) for window in windows(z, 2 * batch["grid"].shape[2], 2)])


def windows(wide: torch.Tensor, width: int, token: int = 1) -> list[torch.Tensor]:
    """Of what `leftmost` made, by columns: all lines at each of their places. A token is `token` columns wide."""
    return [wide[..., token * (MARGIN - k) :][..., :width] for k in range(PLACES)]


def told(right: torch.Tensor) -> torch.Tensor:
    """Which place each row has, as shares [B, places, rows]."""
    return (torch.arange(PLACES, device=right.device)[:, None] == right[:, None]).float()


def any_shares(line: torch.Tensor, room: torch.Tensor) -> torch.Tensor:
    """Shares of each line's places, any ones (Dirichlet): [B, places, rows]."""
    size, rows = line.shape
    drawn = torch.empty(size, PLACES, rows + 1, device=line.device).exponential_()
    drawn = drawn.gather(2, line[:, None].expand(-1, PLACES, -1)) * usable(room)
    return drawn / drawn.sum(1, keepdim=True)


def usable(room: torch.Tensor) -> torch.Tensor:
    """Which places the lines have [..., places, rows]; `room` [..., rows] is how many."""
    return torch.arange(PLACES, device=room.device)[:, None] < room[..., None, :]


def undecided(
    places: torch.Tensor,
    line: torch.Tensor,
    room: torch.Tensor,
    shares: torch.Tensor,
    level: torch.Tensor,
    noise: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """States [N, tokens, 64] that hold every line at its places by `shares`, and their velocities.

    `places` [places, N, tokens, 64] are the images with all lines at one place; `line` [N, rows] says to which line a row of tokens belongs, `room`
    [N, rows] how many places that has, `shares` [N, places, rows] how much of each the state holds: a noised image holds one place of each
    line. From pure noise the way begins towards the mean of all, and lies between them until the noise has decided; there no noised
    image lies. The velocity is that of the mean of all places, weighted by how likely the state of the line makes each (Gaussian noise,
    all places as likely before).
    """
    count, size, tokens, width = places.shape
    rows = line.shape[1]
    of_rows = places.view(count, size, rows, -1).permute(1, 2, 0, 3)
    noise, level = noise.view(size, rows, -1), level[:, None, None]
    state = (1 - level) * torch.einsum("nkr,nrkd->nrd", shares, of_rows) + level * noise
    far = (state[:, :, None] - (1 - level[..., None]) * of_rows).pow(2).sum(-1)
    by_line = torch.zeros(size, rows + 1, count, device=far.device).scatter_add_(1, line[..., None].expand_as(far), far)
    likely = (-by_line / (2 * level.pow(2))).gather(1, line[..., None].expand_as(far))
    likely = likely.masked_fill(~usable(room).mT, -torch.inf).softmax(-1)
    velocity = (state - torch.einsum("nrk,nrkd->nrd", likely, of_rows)) / level
    return state.view(size, tokens, width), velocity.view(size, tokens, width)


class Objective:
    """The loss of one batch, and its parts for the log."""

    def __init__(self, session, heads: Heads) -> None:  # noqa: ANN001
        self.session, self.heads = session, heads
        # a tensor, which a recorded step reads again
        self.ink = torch.tensor(INK, device=session.device)
        self.glyph_of = torch.from_numpy(session.glyphs.glyph_of_patch()).to(session.device)

    def __call__(
        self, batch: dict[str, torch.Tensor], *, conditional: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        session = self.session
        size, rows, cols = batch["grid"].shape
        ids = batch["ids"] if conditional else session.negative.expand(size, -1)
        embeds = session.encode(ids)
        with session.autocast(), torch.no_grad():
            places = everywhere(session, batch)
        places = places.repeat(1, DRAWS, 1, 1)
        line, room = (batch[name].repeat(DRAWS, 1) for name in ("line", "room"))
        level, noise = sigmas(len(line), session.device), torch.randn_like(places[0])
        shares = told(batch["right"]).repeat(DRAWS, 1, 1)
        shares[-size:] = any_shares(batch["line"], batch["room"])
        level[-size:].uniform_(DECIDED, 1)
        mixed, wanted = undecided(places, line, room, shares, level, noise)
        prompts = embeds.repeat(DRAWS, 1, 1)
        velocity, states = session.lean.velocity(
            mixed, level, prompts, (1, rows, cols), keep=(WHERE_BLOCK, WHICH_BLOCK)
        )
        weight = (1 + (self.ink - 1) * (batch["grid"] > 0)).flatten(1).repeat(DRAWS, 1)
        # in units of the latents' variance: what the heads weigh beside it does not depend on the deviation
        squares = (velocity - wanted).pow(2).mean(-1) / DEVIATION**2
        parts = {"flow": (weight * squares).mean() / weight.mean()}
        if conditional:
            with session.autocast():
                parts |= self._auxiliary(batch, embeds, states)
        loss = parts["flow"] + sum(AUXILIARY[k] * v for k, v in parts.items() if k != "flow")
        return loss, parts

    def _auxiliary(
        self,
        batch: dict[str, torch.Tensor],
        embeds: torch.Tensor,
        states: dict[int, tuple[torch.Tensor, torch.Tensor]],
    ) -> dict[str, torch.Tensor]:
        heads = self.heads
        text, image = states[WHERE_BLOCK]
        _, late = states[WHICH_BLOCK]
        size, rows, cols = batch["grid"].shape
        row = torch.arange(rows, device=image.device)[:, None].expand(rows, cols).reshape(-1)
        col = torch.arange(cols, device=image.device)[None].expand(rows, cols).reshape(-1)
        some = torch.randint(0, rows * cols, (max(64, rows * cols // 3),), device=image.device)
        shown = self.glyph_of[batch["grid"]].reshape(size, -1)[:, some].repeat(DRAWS, 1)
        size = len(image)
        return {
            "index": _cross(heads.index, embeds, batch["index"]),
            "offset": _cross(heads.offset, embeds, batch["offset"]),
            "row": _cross(heads.row, text, batch["row"].repeat(DRAWS, 1)),
            "col": _cross(heads.col, text, batch["col"].repeat(DRAWS, 1)),
            "y": _cross(heads.image_row, image[:, some], row[some].expand(size, -1)),
            "x": _cross(heads.image_col, image[:, some], col[some].expand(size, -1)),
            "glyph": _cross(heads.glyph, late[:, some], shown),
        }


def falling(spent: float, budget: float, step: int, peak: float, plateau: float) -> float:
    """Warm-up, a plateau over that share of the time, and a linear fall."""
    fall = 1.0 if spent < plateau * budget else max(0.01, (budget - spent) / ((1 - plateau) * budget))
    return peak * min(1.0, (step + 1) / 250) * fall


def use_vae(session) -> None:  # noqa: ANN001
    """Take the VAE of an exported model instead of training one."""
    known = AutoencoderKLQwenImage.from_pretrained(session.args.vae)
    session.vae.load_state_dict(known.state_dict())
    session.vae.register_to_config(latents_mean=known.config.latents_mean, latents_std=known.config.latents_std)
    session.say("VAE taken from", session.args.vae)


def build_optimisers(session, heads: Heads, rate: torch.Tensor) -> list[torch.optim.Optimizer]:  # noqa: ANN001
    """Muon for the matrices inside the blocks; AdamW for embeddings, projections in and out, heads, and vectors."""
    language = session.text_encoder.model.language_model
    blocks = [session.transformer.transformer_blocks, language.layers]
    matrices = [p for b in blocks for p in b.parameters() if p.ndim == 2]
    known = {id(p) for p in matrices}
    others = [*session.transformer.parameters(), *language.parameters(), *heads.parameters()]
    others = [p for p in others if id(p) not in known]
    # the rate is a tensor, which a recorded step reads again
    gpu = session.device == "cuda"
    adam = torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.0, fused=gpu, capturable=gpu)
    return [Muon(matrices, rate), adam]


def train(session) -> None:  # noqa: ANN001
    args, path = session.args, session.args.out / "base.pt"
    heads = Heads(session.glyphs.count).to(session.device)
    parameters = [
        *session.transformer.parameters(),
        *session.text_encoder.model.language_model.parameters(),
        *heads.parameters(),
    ]
    rate = torch.tensor(args.rate, device=session.device)
    optimisers = build_optimisers(session, heads, rate)
    step = 0
    if path.exists():
        step = _resume(session, path, heads, optimisers)
    elif args.vae:
        use_vae(session)
    else:
        train_vae(session)
    if args.begin_with and not path.exists():
        read_weights(args.begin_with, _trained(session, heads))
        session.say("weights taken from", args.begin_with)
    session.share([*session.vae.parameters(), *parameters])
    # the processes begin with the same weights and go on with noise of their own
    torch.manual_seed(args.seed + 1 + session.rank)
    take_statistics(session)
    session.vae.eval().requires_grad_(False)

    def update() -> None:
        for optimiser in optimisers:
            optimiser.step()

    engine = Engine(
        Objective(session, heads),
        parameters,
        update,
        record=session.records,
        average=session.average if session.world > 1 else None,
    )
    _loop(session, engine, rate, step, lambda at: _save(session, path, heads, optimisers, at))
    session.share(parameters)


#: how far the data are from the simple to the wanted mix (`Batches.late`), by share of the time
MIX = ((0.0, 0.0), (0.15, 0.6), (0.4, 1.0))
#: steps between two agreements on the time, two snapshots, two lines in the log
AGREE, SNAP, SAY = 10, 100, 200
#: steps refused since the last snapshot after which it is taken back
TOO_MANY = 20


class Snapshot:
    """The weights of a while ago, in case that steps are refused one after the other."""

    def __init__(self, parameters: Sequence[torch.Tensor]) -> None:
        self.parameters, self.refused = parameters, 0
        self.kept = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def look(self, refused: int) -> bool:
        """Keep today's weights, or take the kept ones back where too many steps were refused since: then True."""
        since, self.refused = refused - self.refused, refused
        if since <= TOO_MANY:
            if not since:
                torch._foreach_copy_(self.kept, [p.detach() for p in self.parameters])
            return False
        torch._foreach_copy_([p.data for p in self.parameters], self.kept)
        return True


def _loop(session, engine: Engine, rates: torch.Tensor, step: int, save, already: float = 0.0) -> None:  # noqa: ANN001
    """Train until the session's minutes are over; `already` seconds of them were spent before it began."""
    began, budget = time.monotonic() - already, 60 * session.args.minutes - (time.monotonic() - session.began)
    budget = session.agreed(budget)
    saved, counted, images, peak, first = time.monotonic(), 0, 0, session.args.rate, step
    sums: dict[str, torch.Tensor | float] = {}
    batches, spent = session.batches(1), 0.0
    snapshot = Snapshot(engine.gradients.parameters)
    while True:
        if (step - first) % AGREE == 0:
            if session.device == "cuda":
                torch.cuda.synchronize()
            spent = session.agreed(time.monotonic() - began)
            if spent >= budget:
                break
        # weights that can write already are shown the wanted mix at once
        mix = 1.0 if session.args.begin_with else max(mix for share, mix in MIX if spent >= share * budget)
        session.late.fill_(mix)
        number, batch = next(batches)
        rates.fill_(falling(spent, budget, step - first, peak, session.args.plateau))
        engine.loss.ink.fill_(INK if spent < session.args.plateau * budget else 1.0)  # type: ignore[attr-defined]
        conditional = bool(torch.rand(()) >= UNCONDITIONAL)
        parts = engine.step(batch, number, conditional=conditional)
        step, images = step + 1, images + len(batch["ids"])
        if conditional:
            sums = {name: sums.get(name, 0.0) + value.detach().clone() for name, value in parts.items()}
            counted += 1
        if step % SNAP == 0 and snapshot.look(int(engine.gradients.refused)):
            peak /= 2
            session.say(step, f"weights of {SNAP} steps ago taken back, peak rate {peak:.1e}")
        if step % SAY == 0 or session.device == "cpu":
            shown = {name: round(float(total) / max(1, counted), 4) for name, total in sums.items()}
            refused = int(engine.gradients.refused)
            session.say(
                step, images, shown, f"lr {float(rates):.1e}", f"{len(engine.graphs)} graphs, {refused} refused"
            )
            sums, counted = {}, 0
            if engine.said:
                session.say(engine.said)
                engine.said = None
        if time.monotonic() - saved > 60 and session.rank == 0:
            save(step)
            saved = time.monotonic()
        if session.device == "cpu" and step >= 6:
            break
    if session.rank == 0:
        save(step)
    session.say("done", step, "steps", images, "images")


def _trained(session, heads: Heads) -> dict[str, torch.nn.Module]:  # noqa: ANN001
    return {"transformer": session.transformer, "text_encoder": session.text_encoder, "heads": heads}


def _state(session, heads: Heads) -> dict[str, object]:  # noqa: ANN001
    return {k: m.state_dict() for k, m in session.parts().items()} | {"heads": heads.state_dict()}


def _save(session, path, heads, optimisers, step: int) -> None:  # noqa: ANN001
    write_weights(path.parent / "lite", _trained(session, heads))
    state = _state(session, heads) | {"optimisers": [o.state_dict() for o in optimisers], "step": step}
    state["latents"] = (session.vae.config.latents_mean, session.vae.config.latents_std)
    torch.save(state, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def load(session, path) -> dict[str, Any]:  # noqa: ANN001
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
        rate = optimiser.param_groups[0]["lr"]
        optimiser.load_state_dict(held)
        for group in optimiser.param_groups:
            group["lr"] = rate
    session.say("resumed at step", state["step"])
    return int(state["step"])
