"""Train the editing model by flow matching, from the text-to-image model's weights.

The transformer sees the noised output's tokens and, as a second frame at the same places, the input's. Rows that an edit leaves alone are the input's
latents themselves, so that copying is exact; the row of new text stands at one of its places as in the text-to-image model's training (`flow.undecided`).
Auxiliary heads tell what the input's tokens show, where the quoted texts stand or will stand, which rows change and what a token will show.
"""

from __future__ import annotations

import edit_paths  # noqa: F401  (makes the next imports work)
import torch
import torch.nn.functional as F
from flow import DECIDED, DEVIATION, DRAWS, Heads, any_shares, encoded, packed, sigmas, told, undecided, windows
from layout import MARGIN
from models import WIDTH

#: blocks (from 0) whose output the heads read: what the input shows, where texts stand, which rows change, what a token will show
READ, WHERE, CHANGES, WHICH = 2, 3, 4, 5
AUXILIARY = {"index": 0.05, "offset": 0.05, "row": 0.05, "col": 0.05, "read": 0.1, "changes": 0.1, "glyph": 0.1}
#: share of inputs that get noise, and its largest deviation in that of the latents: other images than our own are not as clean
NOISY, NOISE = 0.5, 0.2
#: weight of the row that changes beside 1 for the others
CHANGED = 2.0


class EditHeads(Heads):
    def __init__(self, glyphs: int) -> None:
        super().__init__(glyphs)
        self.read, self.changes = torch.nn.Linear(WIDTH, glyphs), torch.nn.Linear(WIDTH, 2)


def _cross(head: torch.nn.Linear, states: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the tokens that have a target (others are -100).

    States are normed first: a new head on the text-to-image model's large states begins with a loss of 60, which would move the model more than the edits.
    """
    logits = head(F.layer_norm(states.float(), (WIDTH,))).float()
    return F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)


def looks(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: batch[name] for name in ("style", "palette", "font")}


def source_latents(session, batch: dict[str, torch.Tensor]) -> torch.Tensor:  # noqa: ANN001
    """Latents [B, 16, H / 8, W / 8] of the inputs."""
    return encoded(session, session.painter(looks(batch) | {"grid": batch["source"]}))


def places(session, batch: dict[str, torch.Tensor], source: torch.Tensor) -> torch.Tensor:  # noqa: ANN001
    """Latents [places, B, tokens, 64] of the outputs with the new text at each of its places; all else is the input's, of latents `source`."""
    cols, grid = batch["target"].shape[2], F.pad(batch["target"], (MARGIN, MARGIN))
    wide = encoded(session, session.painter(looks(batch) | {"grid": grid}))
    changed = (batch["line"] > 0).repeat_interleave(2, 1)[:, None, :, None]
    return torch.stack([packed(torch.where(changed, window, source)) for window in windows(wide, 2 * cols, 2)])


class EditObjective:
    """The loss of one batch, and its parts for the log."""

    def __init__(self, session, heads: EditHeads) -> None:  # noqa: ANN001
        self.session, self.heads = session, heads
        # a tensor, which a recorded step reads again
        self.ink = torch.tensor(2.0, device=session.device)
        self.glyph_of = torch.from_numpy(session.glyphs.glyph_of_patch()).to(session.device)

    def _latents(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """The inputs' tokens and the outputs' at each place."""
        session = self.session
        with session.autocast(), torch.no_grad():
            source = source_latents(session, batch)
            size = (len(source), 1, 1, 1)
            amount = NOISE * DEVIATION * torch.rand(size, device=source.device)
            amount = amount * (torch.rand(size, device=source.device) < NOISY)
            source = source + amount * torch.randn_like(source)
            return packed(source), places(session, batch, source)

    def __call__(
        self, batch: dict[str, torch.Tensor], *, conditional: bool
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        session = self.session
        size, rows, cols = batch["source"].shape
        ids = batch["ids"] if conditional else session.negative.expand(size, -1)
        embeds = session.encode(ids)
        source, outputs = self._latents(batch)
        outputs = outputs.repeat(1, DRAWS, 1, 1)
        line, room = (batch[name].repeat(DRAWS, 1) for name in ("line", "room"))
        level, noise = sigmas(len(line), session.device), torch.randn_like(outputs[0])
        shares = told(batch["right"]).repeat(DRAWS, 1, 1)
        shares[-size:] = any_shares(batch["line"], batch["room"])
        level[-size:].uniform_(DECIDED, 1)
        mixed, wanted = undecided(outputs, line, room, shares, level, noise)
        both = torch.cat([mixed, source.repeat(DRAWS, 1, 1)], 1)
        velocity, states = session.lean.velocity(
            both, level, embeds.repeat(DRAWS, 1, 1), (2, rows, cols), keep=(READ, WHERE, CHANGES, WHICH)
        )
        changed = batch["line"].float()[..., None].expand(-1, -1, cols)
        weight = 1 + CHANGED * changed + (self.ink - 1) * changed * (batch["target"] > 0)
        weight = weight.flatten(1).repeat(DRAWS, 1)
        squares = (velocity[:, : rows * cols] - wanted).pow(2).mean(-1) / DEVIATION**2
        parts = {"flow": (weight * squares).mean() / weight.mean()}
        if conditional:
            with session.autocast():
                parts |= self._auxiliary(batch, embeds, states)
            with torch.no_grad():
                changed = changed.flatten(1).repeat(DRAWS, 1)
                kept = 1 - changed
                shown = {"kept": (squares * kept).sum() / kept.sum(), "made": (squares * changed).sum() / changed.sum()}
        loss = parts["flow"] + sum(AUXILIARY[k] * v for k, v in parts.items() if k != "flow")
        return loss, (parts | shown if conditional else parts)

    def _auxiliary(
        self, batch: dict[str, torch.Tensor], embeds: torch.Tensor, states: dict[int, tuple[torch.Tensor, torch.Tensor]]
    ) -> dict[str, torch.Tensor]:
        heads = self.heads
        _, rows, cols = batch["source"].shape
        tokens = rows * cols
        text = states[WHERE][0]
        some = torch.randint(0, tokens, (max(64, tokens // 3),), device=text.device)
        few = torch.randint(0, tokens, (max(64, tokens // 4),), device=text.device)
        # the new text as it stands at the place that it has; rows with one place have `right` 0
        columns = torch.arange(cols, device=text.device) - batch["right"][..., None]
        target = batch["target"].gather(2, columns.clamp(min=0)) * (columns >= 0)
        source = self.glyph_of[batch["source"]].flatten(1)
        shown = torch.where(batch["line"].repeat_interleave(cols, 1) > 0, self.glyph_of[target].flatten(1), source)
        changed = batch["line"].repeat_interleave(cols, 1)
        return {
            "index": _cross(heads.index, embeds, batch["index"]),
            "offset": _cross(heads.offset, embeds, batch["offset"]),
            "row": _cross(heads.row, text, batch["row"].repeat(DRAWS, 1)),
            "col": _cross(heads.col, text, batch["col"].repeat(DRAWS, 1)),
            "read": _cross(heads.read, states[READ][1][:, tokens:][:, few], source[:, few].repeat(DRAWS, 1)),
            "changes": _cross(
                heads.changes, states[CHANGES][1][:, :tokens][:, some], changed[:, some].repeat(DRAWS, 1)
            ),
            "glyph": _cross(heads.glyph, states[WHICH][1][:, :tokens][:, some], shown[:, some].repeat(DRAWS, 1)),
        }
