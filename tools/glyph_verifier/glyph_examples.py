"""Examples for training and test: which drawings, whole or broken, and how they are shown."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from glyph_damage import KINDS, Batch, broken
from glyph_data import Bank
from glyph_style import styled

#: share of scripts in training: Chinese, kana, letters, digits.
SHARES = (0.66, 0.08, 0.19, 0.07)


@dataclass
class Examples:
    """n crops with the drawings of the character that they should show."""

    x: torch.Tensor  # (n, 1 + styles, S, S)
    broken: torch.Tensor  # (n,) 0 or 1
    kind: torch.Tensor  # (n,) index into KINDS, -1 for whole
    share: torch.Tensor  # (n,) what the damage changed, by the ink there was
    seen: torch.Tensor  # (n,) bool: whole, or broken so that it can be seen
    placed: torch.Tensor  # (n, 2, 3)
    em: torch.Tensor  # (n,) pixels
    index: torch.Tensor  # (n,) drawings of the bank

    def part(self, where: torch.Tensor) -> Examples:
        """Return some of the examples."""
        return Examples(**{name: values[where] for name, values in vars(self).items()})


class Source:
    """Makes examples from some drawings of a bank."""

    def __init__(self, bank: Bank, pools: list[torch.Tensor], *, seed: int, vae: object = None) -> None:
        """`pools`: indices of drawings; each example takes one pool, by `SHARES` where there are four."""
        self._bank = bank
        self._vae = vae
        self._pools = [pool for pool in pools if len(pool)]
        shares = [share for share, pool in zip(SHARES, pools, strict=False) if len(pool)]
        self._shares = torch.tensor(shares if len(pools) > 1 else [1.0], device=bank.char.device)
        self._draws = 0
        self.generator = torch.Generator(device=bank.char.device).manual_seed(seed)

    def draw(
        self, n: int, *, share: float = 0.5, kind: int | None = None, size: int | None = None, calm: bool = False
    ) -> Examples:
        """Return n examples. `share`: of them broken; `kind`: the only kind of damage; `size`: as `styled`'s."""
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
        kinds = torch.randint(len(KINDS), (n,), device=device, generator=g)
        kinds = torch.full_like(kinds, kind) if kind is not None else kinds
        kinds = torch.where(is_broken, kinds, -1)
        ink, changed, seen = broken(batch, kinds)
        self._draws += 1  # the VAE takes longer than all else, so it works on every fourth batch
        vae = self._vae if self._draws % 4 == 1 else None
        shown = styled(batch, ink, vae=vae, size=size, calm=calm)
        x = torch.cat([shown.crop[:, None], self._bank.drawings[self._bank.char[index]]], dim=1)
        return Examples(
            x=x,
            broken=is_broken.float(),
            kind=kinds,
            share=changed,
            seen=seen | ~is_broken,
            placed=shown.placed,
            em=shown.em,
            index=index,
        )


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

    return through
