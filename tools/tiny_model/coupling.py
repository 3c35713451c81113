"""Noise that knows what the picture leaves to chance: its place, font and colours.

Flow matching may pair noise and picture as it likes, as long as both keep their distributions (minibatch couplings: Pooladian et al.,
2023; Tong et al., 2024). Paired at random, nothing in pure noise says where the text will stand; the first of four steps
then draws it at two places at once. Here the mean of one latent channel of the noise goes with each of these attributes, by its
quantile: an attribute of probabilities p takes the share p of a normal distribution. The mean of normal values is independent of
what is around it, so that noise over all pictures is as normal as before.

A model that was trained so needs no LoRA: four steps without guidance read as well as fifty with (README.md). It shows what few
steps lack, and is no stand-in for a model that has to be distilled; `train.py` couples only where it is asked to.
"""

from __future__ import annotations

import torch
from data import FONTS, PALETTES

#: latent channels; each fills four of a token's 64 numbers
CHANNELS, PATCH = 16, 4
#: attributes and how many values each has; the n-th goes with the n-th channel
CHANCE = {"shift": 2, "font": len(FONTS), "palette": PALETTES}


def fractions(batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Quantiles [B, attributes] from 0 to 1 of the means of the noise of each picture."""
    device = batch["shift"].device
    drawn = torch.rand(len(batch["shift"]), len(CHANCE), device=device)
    bold = torch.full_like(drawn[:, 1], FONTS[0])
    # where there is no room to shift, the shift is no matter of chance
    shift = torch.where(batch["room"], (batch["shift"] + drawn[:, 0]) / 2, drawn[:, 0])
    font = torch.where(batch["font"] == 1, bold + (1 - bold) * drawn[:, 1], bold * drawn[:, 1])
    palette = (batch["palette"] + drawn[:, 2]) / PALETTES
    return torch.stack([shift, font, palette], 1)


def couple(noise: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Noise [B or n B, tokens, 64] whose channel means go with the attributes of the batch's B pictures."""
    count = noise.shape[1] * PATCH
    quantile = fractions(batch).clamp(1e-4, 1 - 1e-4)
    wanted = torch.erfinv(2 * quantile - 1) * (2 / count) ** 0.5
    wanted = wanted.repeat(len(noise) // len(wanted), 1)
    found = noise.unflatten(-1, (CHANNELS, PATCH))[:, :, : len(CHANCE)].mean((1, 3))
    moved = torch.nn.functional.pad(wanted - found, (0, CHANNELS - len(CHANCE)))
    return noise + moved.repeat_interleave(PATCH, -1)[:, None]
