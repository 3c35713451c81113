"""Examples for training and test: which drawings, whole or broken, and how they are shown.

A broken character has a whole twin: the same drawing, written, placed, lit and compressed in the same way. What the
damage changed is measured between the two, as crops show them (`VISIBLE`): a dot that a small size blurs away is no
example of a broken character. In training both twins are shown.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from glyph_damage import KINDS, Batch, broken
from glyph_data import Bank
from glyph_style import Styled, styled

from qiltest.reading.glyphs.crop import SIDE

#: share of scripts in training: Chinese, kana, letters, digits.
SHARES = (0.66, 0.08, 0.19, 0.07)
#: A damage counts where the crop's ink, averaged over 3 x 3 of its 48 x 48 pixels (7.5 % of the em square), changes by
#: so much somewhere that the drawing was changed; ink is 1, ground 0.
VISIBLE = 0.35
#: Cells across of the map of where drawings were changed; a cell's share of changed area that counts, and that does not.
CELLS, CHANGED, KEPT = 12, 0.10, 0.02


@dataclass
class Examples:
    """n crops with the drawings of the character that they should show."""

    x: torch.Tensor  # (n, 1 + styles, S, S)
    broken: torch.Tensor  # (n,) 0 or 1
    kind: torch.Tensor  # (n,) index into KINDS, -1 for whole
    share: torch.Tensor  # (n,) what the damage changed, by the ink there was
    drawn: torch.Tensor  # (n,) bool: whole, or broken so that it can be seen in the drawing
    visible: torch.Tensor  # (n,) the largest change in the crop, 0 to about 1; 1 for whole
    where: torch.Tensor  # (n, CELLS, CELLS) share of each cell that was changed, in the drawing's window
    placed: torch.Tensor  # (n, 2, 3)
    em: torch.Tensor  # (n,) pixels
    script: torch.Tensor  # (n,) index into SCRIPTS
    index: torch.Tensor  # (n,) drawings of the bank

    @property
    def seen(self) -> torch.Tensor:
        """Whole, or broken so that it can be seen in the crop: (n,) bool."""
        return self.drawn & (self.visible >= VISIBLE)

    def part(self, where: torch.Tensor) -> Examples:
        """Return some of the examples."""
        return Examples(**{name: values[where] for name, values in vars(self).items()})


def together(one: Examples, two: Examples) -> Examples:
    """Return the examples of both."""
    return Examples(**{name: torch.cat([values, getattr(two, name)]) for name, values in vars(one).items()})


class Source:
    """Makes examples from some drawings of a bank."""

    def __init__(
        self,
        bank: Bank,
        pools: list[torch.Tensor],
        *,
        seed: int,
        vae: object = None,
        weights: tuple[float, ...] | None = None,
        varied: bool = False,
    ) -> None:
        """`pools`: indices of drawings; each example takes one pool, by `SHARES` where there are four.

        `weights`: of the kinds of damage, else all alike. `varied`: as `styled`'s, for training.
        """
        device = bank.char.device
        self._bank = bank
        self._vae = vae
        self._varied = varied
        self._pools = [pool for pool in pools if len(pool)]
        shares = [share for share, pool in zip(SHARES, pools, strict=False) if len(pool)]
        self._shares = torch.tensor(shares if len(pools) > 1 else [1.0], device=device)
        self._kinds = torch.tensor(weights or [1.0] * len(KINDS), device=device)
        self.generator = torch.Generator(device=device).manual_seed(seed)

    def draw(
        self, n: int, *, share: float = 0.5, kind: int | None = None, size: int | None = None, calm: bool = False
    ) -> Examples:
        """Return n examples. `share`: of them broken; `kind`: the only kind of damage; `size`: as `styled`'s."""
        return self._draw(n, share=share, kind=kind, size=size, calm=calm)[0]

    def twins(self, n: int, *, calm: bool = False) -> Examples:
        """Return n broken examples, then their n whole twins."""
        return together(*self._draw(n, share=1.0, kind=None, size=None, calm=calm))

    def _draw(
        self, n: int, *, share: float, kind: int | None, size: int | None, calm: bool
    ) -> tuple[Examples, Examples]:
        device, g = self._bank.char.device, self.generator
        pool = torch.multinomial(self._shares, n, replacement=True, generator=g)
        index = torch.empty(n, dtype=torch.long, device=device)
        for number, each in enumerate(self._pools):
            where = (pool == number).nonzero().squeeze(1)
            index[where] = each[torch.randint(len(each), (len(where),), device=device, generator=g)]
        width = self._bank.width[index]
        change = torch.randn(n, device=device, generator=g).clamp(-2, 2)
        # bolder by up to a quarter of the stroke to each side, lighter by less: thin strokes stay
        weight = change * torch.where(change > 0, 0.12 * width, 0.07 * width).clamp(max=0.8)
        batch = Batch(bank=self._bank, index=index, weight=weight * (0.0 if calm else 1.0), generator=g)
        is_broken = torch.rand(n, device=device, generator=g) < share
        kinds = torch.multinomial(self._kinds, n, replacement=True, generator=g)
        kinds = torch.full_like(kinds, kind) if kind is not None else kinds
        kinds = torch.where(is_broken, kinds, -1)
        ink, changed, drawn = broken(batch, kinds)
        state = g.get_state()
        shown = styled(batch, ink, vae=self._vae, size=size, calm=calm, varied=self._varied)
        if share == 0:
            twin, visible = shown, torch.ones(n, device=device)
        else:  # the same random numbers again, of as many calls
            g.set_state(state)
            twin = styled(batch, batch.ink, vae=self._vae, size=size, calm=calm, varied=self._varied)
            visible = largest_change(shown, twin, ink - batch.ink)
        cell = ink.shape[-1] // CELLS
        where = F.avg_pool2d((ink - batch.ink).abs()[:, None], cell).squeeze(1)
        broke = self._examples(index, shown, kinds, changed, drawn, visible, where)
        whole = torch.full_like(kinds, -1), torch.zeros_like(changed), drawn, visible, torch.zeros_like(where)
        return broke, self._examples(index, twin, *whole)

    def _examples(
        self,
        index: torch.Tensor,
        shown: Styled,
        kind: torch.Tensor,
        share: torch.Tensor,
        drawn: torch.Tensor,
        visible: torch.Tensor,
        where: torch.Tensor,
    ) -> Examples:
        bank, whole = self._bank, kind < 0
        return Examples(
            x=torch.cat([shown.crop[:, None], bank.drawings[bank.char[index]]], dim=1),
            broken=(~whole).float(),
            kind=kind,
            share=share,
            drawn=drawn | whole,
            visible=torch.where(whole, 1.0, visible),
            where=where,
            placed=shown.placed,
            em=shown.em,
            script=bank.script[index],
            index=index,
        )


def largest_change(one: Styled, two: Styled, ink: torch.Tensor) -> torch.Tensor:
    """Return the largest change between crops of twins, (n,), where their drawings differ by `ink` (n, P, P).

    Both crops are laid over the drawing first, because a reader's places, and so the crops, follow the ink.
    """
    n = len(ink)
    laid = [
        F.grid_sample(
            each.crop[:, None],
            F.affine_grid(each.placed, [n, 1, SIDE, SIDE], align_corners=False),
            padding_mode="border",
            align_corners=False,
        )
        for each in (one, two)
    ]
    near = F.interpolate(ink.abs()[:, None], size=(SIDE, SIDE), mode="area")
    near = F.max_pool2d(near, 3, 1, 1) > 0.1
    return (F.avg_pool2d(laid[0] - laid[1], 3, 1, 1).abs() * near).amax(dim=(1, 2, 3))


def embedded_vae(folder: Path, device: torch.device) -> object:
    """Return encode-and-decode of the embedded model's VAE, RGB -1 to 1; None where diffusers is missing."""
    try:
        from diffusers import AutoencoderKLQwenImage
    except ImportError:
        return None
    vae = AutoencoderKLQwenImage.from_pretrained(folder).to(device).eval()

    @torch.no_grad()
    def through(image: torch.Tensor) -> torch.Tensor:
        latents = vae.encode(image[:, :, None]).latent_dist.mode()
        return vae.decode(latents).sample[:, :, 0].clamp(-1, 1)

    image = torch.linspace(-1, 1, 3 * 48 * 48, device=device).reshape(1, 3, 48, 48)
    expected = through(image)
    convolutions = [module for module in vae.modules() if type(module).__name__ == "QwenImageCausalConv3d"]
    for module in convolutions:
        if module.stride == (1, 1, 1):
            module.forward = types.MethodType(_of_one_frame, module)
    try:
        same = bool((through(image) - expected).abs().mean() < 0.01)
    except (RuntimeError, TypeError, ValueError):
        same = False
    if not same:  # another version of diffusers: as it is, three times as slow
        for module in convolutions:
            vars(module).pop("forward", None)
    return through


def _of_one_frame(self: torch.nn.Conv3d, x: torch.Tensor, cache_x: torch.Tensor | None = None) -> torch.Tensor:
    """Convolve a single frame: what is before it is 0, so only the last of the kernel's frames has something to do."""
    if x.shape[2] != 1 or cache_x is not None:
        raise ValueError("the VAE is used for single frames")
    weight = self.weight[:, :, -1]
    reach = (weight.shape[-2] // 2, weight.shape[-1] // 2)
    return F.conv2d(x[:, :, 0], weight, self.bias, padding=reach)[:, :, None]
