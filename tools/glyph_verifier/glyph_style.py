"""Show ink as crops of images show it: placed by a reader, written in some way, photographed, compressed, scaled.

Everything here leaves a whole character whole, and is done to broken ones alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from glyph_damage import Batch, col, ink_of, moved, spread

from qiltest.reading.glyphs.crop import EM, SIDE

#: Side of the window in which ink is placed, and the sides that a crop's window has in images: 1.2 em squares, so that
#: the em square has 15 to 77 pixels. The last are what the cut-out line has at most (crop.py).
CANVAS = 96
SIZES = (18, 22, 26, 32, 40, 48, 60, 76, 92)
#: One of so many windows of the sizes below goes through the VAE, so many at a time (fewer of small batches): always as
#: many, because another number would be planned anew.
OF_VAE, THROUGH_VAE, SIZES_OF_VAE = 12, (128, 32), (40, 48, 60, 76)
#: A crop is cut out of a line of this height, so that more pixels are not seen.
LINE_SIDE = 76


@dataclass
class Styled:
    """Crops as the network gets them."""

    crop: torch.Tensor  # (n, SIDE, SIDE)
    placed: torch.Tensor  # (n, 2, 3) from the drawing's window to the crop's, both -1 to 1
    em: torch.Tensor  # (n,) em square, or a letter's longer side, in pixels of the image


def styled(
    b: Batch,
    ink: torch.Tensor,
    *,
    vae: object = None,
    size: int | None = None,
    calm: bool = False,
    varied: bool = False,
) -> Styled:
    """Return crops of characters whose ink is given. `size`: the window's side in the image, else random.

    `calm`: plain black on white and well placed, for a look at the damage alone. `varied`: some are stretched here and
    there by up to a twelfth, as the proportions of fonts differ.
    """
    ink = written(b, ink, varied=varied) if not calm else ink
    place = placement(b, ink, calm=calm)
    canvas = laid_out(b, ink, place, calm=calm)
    crops = torch.empty(b.size, SIDE, SIDE, device=ink.device)
    em = torch.empty(b.size, device=ink.device)
    which = torch.randint(len(SIZES), (b.size,), device=ink.device, generator=b.generator)
    for number, side in enumerate(SIZES):
        side = size or side
        where = (which == number).nonzero().squeeze(1) if size is None else torch.arange(b.size, device=ink.device)
        if len(where):
            crops[where] = photographed(b.part(where), canvas[where], side, vae=vae, calm=calm)
            em[where] = side * EM / SIDE
        if size is not None:
            break
    return Styled(crop=normalised(crops), placed=inverse(place), em=em)


def written(b: Batch, ink: torch.Tensor, *, varied: bool = False) -> torch.Tensor:
    """Change the way of writing: stencil, hollow, dotted, double, elastic."""
    way = b.uniform(0, 1)
    stencil = (way < 0.04).nonzero().squeeze(1)
    if len(stencil):
        ink = ink.index_put((stencil,), _stencil(b.part(stencil), ink[stencil]))
    hollow = ((way >= 0.04) & (way < 0.09)).nonzero().squeeze(1)
    if len(hollow):
        ink = ink.index_put((hollow,), _hollow(b.part(hollow), ink[hollow]))
    dotted = ((way >= 0.09) & (way < 0.11)).nonzero().squeeze(1)
    if len(dotted):
        ink = ink.index_put((dotted,), _dotted(b.part(dotted), ink[dotted]))
    strength = col(b.uniform(0, 1.1) * (b.uniform(0, 1) < 0.7))
    dy, dx = b.noise(4) * strength, b.noise(4) * strength
    if varied:
        strength = col(b.uniform(0, 2.0) * (b.uniform(0, 1) < 0.4))
        dy, dx = dy + b.noise(3) * strength, dx + b.noise(3) * strength
    return moved(ink, dy, dx)


def _stencil(b: Batch, ink: torch.Tensor) -> torch.Tensor:
    """One or two narrow bridges, upright or level: half as wide as the narrowest cut that counts as damage."""
    for k in range(2):
        at = col(b.uniform(22, 50))
        far = torch.where(col(b.uniform(0, 1) < 0.6), (b.x - at).abs(), (b.y - at).abs())
        bridged = ink * (far - col(b.uniform(0.8, 1.3)) + 0.5).clamp(0, 1)
        ink = torch.where(col(b.uniform(0, 1) < (1.0, 0.4)[k]), bridged, ink)
    return ink


def _hollow(b: Batch, ink: torch.Tensor) -> torch.Tensor:
    """The outline alone; where strokes are thin there is none."""
    shape = (ink > 0.5).float()[:, None]
    inner = -F.max_pool2d(-shape, 3, 1, 1)
    outer = F.max_pool2d(shape, 3, 1, 1)
    outline = (outer - inner).squeeze(1)
    return torch.where(col(b.width > 5.5), outline, ink)


def _dotted(b: Batch, ink: torch.Tensor) -> torch.Tensor:
    """Coarse pixels."""
    side = ink.shape[-1]
    for_n = int(torch.randint(22, 34, (1,), generator=b.generator, device=ink.device))
    small = F.interpolate(ink[:, None], size=(for_n, for_n), mode="area")
    return F.interpolate((small > 0.45).float(), size=(side, side), mode="nearest").squeeze(1)


def placement(b: Batch, ink: torch.Tensor, *, calm: bool) -> torch.Tensor:
    """Return where crops lie in drawings: maps (n, 2, 3) from the crop's window to the drawing's, both -1 to 1.

    As crop.py places them: letters by the extent of their ink, Chinese along the line by the middle of theirs.
    """
    side = ink.shape[-1]
    left, right, top, bottom = extent(ink)
    script = b.bank.script[b.index]
    letter = script >= 2
    scale = SIDE / EM
    biggest = torch.maximum(right - left, bottom - top).clamp(min=side / 9.6)
    em = torch.where(letter, biggest, torch.full_like(biggest, side / scale))
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    middle = side / 2
    by_ink = (right - left >= 0.6 * em) & (b.uniform(0, 1) < 0.85)
    x = torch.where(letter | by_ink, centre_x.clamp(middle - 0.2 * em, middle + 0.2 * em), torch.full_like(em, middle))
    x = torch.where(letter, centre_x, x)
    y = torch.where(letter, centre_y, torch.full_like(em, middle))
    loose = 0.0 if calm else 1.0
    off = torch.where(letter, 0.02, 0.04) * loose
    far = (b.uniform(0, 1) < 0.15).float() * torch.where(letter, 0.05, 0.10) * loose
    x = x + em * (off * _normal(b) + far * b.uniform(-1, 1))
    y = y + em * (off * _normal(b) + far * b.uniform(-1, 1))
    zoom = torch.exp(torch.where(letter, 0.03, 0.06) * _normal(b) * loose)
    wide = torch.exp(0.07 * _normal(b) * loose) * torch.where(b.uniform(0, 1) < 0.15 * loose, b.uniform(0.75, 1.3), 1.0)
    size = em * scale / side
    turn = (torch.where(b.uniform(0, 1) < 0.15, 7.0, 2.0) * math.pi / 180 * loose) * _normal(b)
    shear = torch.where(b.uniform(0, 1) < 0.12, b.uniform(-0.3, 0.3), 0.04 * _normal(b)) * loose
    cos, sin = torch.cos(turn), torch.sin(turn)
    # first the crop's own axes are stretched, then slanted, then turned
    a, d = size * zoom * wide, size * zoom / wide
    return torch.stack(
        [
            torch.stack([cos * a, (shear * cos - sin) * d, (2 * x - side) / side], dim=1),
            torch.stack([sin * a, (shear * sin + cos) * d, (2 * y - side) / side], dim=1),
        ],
        dim=1,
    )


def _normal(b: Batch) -> torch.Tensor:
    return torch.randn(b.size, device=b.index.device, generator=b.generator).clamp(-2.5, 2.5)


def extent(ink: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return left, right, top and bottom of each drawing's ink, pixels; the whole square where there is none."""
    side = ink.shape[-1]
    found = []
    for dim in (1, 2):
        line = (ink > 0.45).any(dim=dim).float()
        first = line.argmax(dim=1).float()
        last = side - line.flip(1).argmax(dim=1).float()
        found += [first, last]
    left, right, top, bottom = found
    return left, right, top, bottom


def inverse(matrix: torch.Tensor) -> torch.Tensor:
    """Return the inverse of maps (n, 2, 3)."""
    (a, b, x), (c, d, y) = (row.unbind(1) for row in matrix.float().unbind(1))
    whole = a * d - b * c
    rows = [[d, -b, b * y - d * x], [-c, a, c * x - a * y]]
    return torch.stack([torch.stack([each / whole for each in row], dim=1) for row in rows], dim=1)


def laid_out(b: Batch, ink: torch.Tensor, matrix: torch.Tensor, *, calm: bool) -> torch.Tensor:
    """Place ink in the crop's window, with neighbours that reach into it and lines of what stands around."""
    n = b.size
    grid = F.affine_grid(matrix, [n, 1, CANVAS, CANVAS], align_corners=False)
    canvas = F.grid_sample(ink[:, None], grid, align_corners=False).squeeze(1)
    if calm:
        return canvas
    side = ink.shape[-1]
    script = b.bank.script[b.index]
    upright = b.uniform(0, 1) < 0.2  # a column
    reach = b.uniform(0, 1) < torch.where(script >= 2, 0.3, 0.45)
    left, right, top, bottom = extent(ink)
    for direction in (-1.0, 1.0):
        near = ink_of(b.distance_of(b.other()))
        l2, r2, t2, b2 = extent(near)
        gap = torch.where(script >= 2, b.uniform(1.5, 8.0), b.uniform(2.0, 14.0))
        x = torch.where(torch.tensor(direction, device=ink.device) < 0, left - gap - r2, right + gap - l2)
        y = torch.where(torch.tensor(direction, device=ink.device) < 0, top - gap - b2, bottom + gap - t2)
        pitch = side / (SIDE / EM) * b.uniform(0.95, 1.2) * direction
        # broken characters may have no ink on that side: the neighbour stands where it would be
        x = torch.where(script >= 2, x, torch.where(x.abs() > pitch.abs(), x, pitch))
        y = torch.where(script >= 2, y, torch.where(y.abs() > pitch.abs(), y, pitch))
        shift = torch.stack([torch.where(upright, 0.0, x), torch.where(upright, y, 0.0)], dim=1) * (2 / side)
        placed = F.grid_sample(near[:, None], grid - shift[:, None, None, :], align_corners=False).squeeze(1)
        there = reach & (b.uniform(0, 1) < 0.85)
        canvas = torch.maximum(canvas, placed * col(there.float()))
    return torch.maximum(canvas, _edges(b))


def _edges(b: Batch) -> torch.Tensor:
    """Return a line at the border of some windows: the edge of a sign, an underline."""
    line = torch.linspace(-1, 1, CANVAS, device=b.index.device)
    y, x = line[None, :, None], line[None, None, :]
    angle = b.uniform(0, 4).long().float() * (math.pi / 2) + 0.06 * _normal(b)
    far = x * torch.cos(col(angle)) + y * torch.sin(col(angle)) - col(b.uniform(0.86, 1.05))
    drawn = (1 - (far.abs() - col(b.uniform(0.01, 0.05))) * CANVAS / 2).clamp(0, 1)
    return drawn * col((b.uniform(0, 1) < 0.1) * b.uniform(0.3, 1.0))


def photographed(b: Batch, canvas: torch.Tensor, side: int, *, vae: object, calm: bool) -> torch.Tensor:
    """Return windows (n, SIDE, SIDE) of ink that an image of `side` pixels a window shows."""
    f = F.interpolate(canvas[:, None], size=(side, side), mode="area")
    if not calm:
        f = _lit(b, f)
        f = _grounded(b, f)
        f = _camera(b, f)
        if vae is not None and side in SIZES_OF_VAE:
            f = _through(b, f, vae)
    # as crop.py does: the line is scaled to its height, then the window to its side
    if side != LINE_SIDE:
        f = F.interpolate(f, size=(LINE_SIDE, LINE_SIDE), mode="area" if side > LINE_SIDE else "bilinear")
    return F.interpolate(f, size=(SIDE, SIDE), mode="area").squeeze(1)


def _some(b: Batch, share: float) -> torch.Tensor:
    return (b.uniform(0, 1) < share).float()[:, None, None, None]


def _per(b: Batch, low: float, high: float) -> torch.Tensor:
    return b.uniform(low, high)[:, None, None, None]


def blur(f: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur images by a Gaussian, the edge repeated. As products of matrices: convolutions of one channel are slow."""
    across = _blurring(f.shape[-1], sigma, f.device)
    return across @ (f @ across.T)


@cache
def _blurring(side: int, sigma: float, device: torch.device) -> torch.Tensor:
    """Return the matrix that blurs columns of `side` pixels."""
    reach = max(1, min(math.ceil(2.5 * sigma), side - 1))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-(offsets.double() ** 2) / (2 * sigma * sigma))
    places = (torch.arange(side)[:, None] + offsets).clamp(0, side - 1)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, places, (weights / weights.sum()).expand(side, -1))
    return matrix.float().to(device)


def _field(b: Batch, cells: int, side: int) -> torch.Tensor:
    grid = torch.randn(b.size, 1, cells, cells, device=b.index.device, generator=b.generator)
    return spread(grid, side)


def _lit(b: Batch, f: torch.Tensor) -> torch.Tensor:
    """Change the ink: chalk, worn paint, brush, emboss, shadow, border, halo, neon tube, gradient."""
    side = f.shape[-1]
    unit = side / SIDE
    fine = torch.randn(f.shape, device=f.device, generator=b.generator)
    grain = blur(fine, max(0.35, 0.5 * unit))
    grain = grain / grain.std().clamp(min=1e-3)
    f = f * (1 - _some(b, 0.15) * _per(b, 0.2, 0.8) * (grain > _per(b, 0.0, 1.2)).float())  # chalk
    f = f * (1 - _some(b, 0.15) * (_per(b, 0.1, 0.3) * _field(b, 6, side)).clamp(-0.5, 0.5))  # paint, brush
    along = torch.linspace(-1, 1, side, device=f.device)
    slope = along[None, None, None, :] * _per(b, -1, 1) + along[None, None, :, None] * _per(b, -1, 1)
    f = f * (1 + _some(b, 0.3) * 0.25 * slope)
    step = max(1, round(unit))
    light = torch.roll(f, (step, step), (2, 3)) - torch.roll(f, (-step, -step), (2, 3))
    f = f + _some(b, 0.12) * _per(b, -0.45, 0.45) * light  # relief
    shade = blur(torch.roll(f, (2 * step, 2 * step), (2, 3)), 0.8 * unit + 0.2)
    f = f + _some(b, 0.1) * _per(b, -0.35, 0.45) * shade * (1 - f.clamp(0, 1))  # shadow
    rim = F.max_pool2d(f, 2 * step + 1, 1, step)
    f = f + _some(b, 0.12) * _per(b, -0.5, 0.6) * (rim - f)  # a border of a third colour
    halo = blur(f, 2.5 * unit)
    f = torch.maximum(f, _some(b, 0.2) * _per(b, 0.3, 0.9) * halo)  # neon
    return f - _some(b, 0.05) * _per(b, 0.1, 0.4) * (blur(f, 0.7 * unit + 0.2) > 0.8).float()  # a tube's dark inside


def _grounded(b: Batch, f: torch.Tensor) -> torch.Tensor:
    """Lay ink on a ground: slope, texture, spots, stripes."""
    side = f.shape[-1]
    along = torch.linspace(-1, 1, side, device=f.device)
    slope = along[None, None, None, :] * _per(b, -1, 1) + along[None, None, :, None] * _per(b, -1, 1)
    ground = _some(b, 0.5) * 0.12 * slope
    ground = ground + _some(b, 0.3) * _per(b, 0.02, 0.10) * _field(b, 5, side)
    ground = ground + _some(b, 0.2) * _per(b, 0.02, 0.08) * _field(b, max(6, side // 3), side)
    stripes = torch.sin(along[None, None, :, None] * _per(b, 4, 30) + _per(b, 0, 6))
    ground = ground + _some(b, 0.05) * _per(b, 0.03, 0.12) * stripes
    return f * (1 - _some(b, 0.3) * _per(b, 0, 0.3)) + ground * (1 - 0.5 * f.clamp(0, 1))


def _camera(b: Batch, f: torch.Tensor) -> torch.Tensor:
    """Blur, sharpen, noise, JPEG, contrast."""
    side = f.shape[-1]
    unit = max(0.5, side / SIDE)
    for sigma in (0.45, 0.8, 1.2):
        f = torch.lerp(f, blur(f, sigma * unit**0.5), _some(b, 0.25) * (1.0 if sigma < 1 else 0.7))
    f = f + _some(b, 0.2) * _per(b, 0.2, 1.2) * (f - blur(f, 0.9))
    f = f + _per(b, 0, 0.07) * _some(b, 0.7) * torch.randn(f.shape, device=f.device, generator=b.generator)
    low = f.amin(dim=(2, 3), keepdim=True)
    f = (f - low).clamp(min=0) ** (1 + _some(b, 0.3) * _per(b, -0.3, 0.5)) + low
    some = (b.uniform(0, 1) < 0.35).nonzero().squeeze(1)
    return f.index_put((some,), jpeg(f[some], b.part(some))) if len(some) else f


_LUMA = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float32,
)


def jpeg(f: torch.Tensor, b: Batch) -> torch.Tensor:
    """Quantise blocks of 8 x 8 as JPEG does (ITU-T T.81, its example table for brightness), quality 35 to 95."""
    side = f.shape[-1]
    y0, x0 = (int(torch.randint(0, 8, (1,), generator=b.generator, device=f.device)) for _ in range(2))
    high = (-(side + y0)) % 8
    wide = (-(side + x0)) % 8
    padded = F.pad(f, (x0, wide, y0, high), mode="replicate")
    rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
    blocks = padded.reshape(-1, rows, 8, columns, 8).permute(0, 1, 3, 2, 4)
    k = torch.arange(8, device=f.device, dtype=torch.float32)
    basis = torch.cos((2 * k[None, :] + 1) * k[:, None] * math.pi / 16) * 0.5
    basis[0] /= math.sqrt(2)
    quality = b.uniform(35, 95)
    scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None, None, None]
    contrast = b.uniform(80, 230)[:, None, None, None, None]
    table = (_LUMA.to(f.device) * scale).clamp(min=1) / contrast
    # always multiplied from the right, which is one large product instead of many small ones; so what lies between is
    # the other way round
    turned = (blocks @ basis.T).transpose(-1, -2) @ basis.T
    table = table.transpose(-1, -2)
    back = ((torch.round(turned / table) * table) @ basis).transpose(-1, -2) @ basis
    whole = back.permute(0, 1, 3, 2, 4).reshape(padded.shape)
    return whole[:, :, y0 : y0 + side, x0 : x0 + side]


def _through(b: Batch, f: torch.Tensor, vae: object) -> torch.Tensor:
    """Encode and decode some windows with the embedded model's VAE, in random colours."""
    chunk = next((count for count in THROUGH_VAE if count * OF_VAE <= b.size), b.size + 1)
    side = f.shape[-1]
    pad = (-side) % 8
    for k in range(b.size // OF_VAE // chunk):
        some = torch.arange(k * chunk, (k + 1) * chunk, device=f.device)
        colours = torch.rand(2, len(some), 3, 1, 1, device=f.device, generator=b.generator) * 2 - 1
        apart = (colours[0] - colours[1]).mean(dim=(1, 2, 3))
        colours[1] = torch.where((apart.abs() < 0.8)[:, None, None, None], -colours[0].sign(), colours[1])
        ink, ground = colours
        image = ground + (ink - ground) * f[some]
        padded = F.pad(image.clamp(-1, 1), (0, pad, 0, pad), mode="replicate")
        shown = vae(padded)[..., :side, :side]  # type: ignore[operator]
        # back to ink as ink.py does it: on the line between the means of both colours as they are shown
        mask = (f[some] > 0.5).float()
        high = (shown * mask).sum(dim=(2, 3), keepdim=True) / mask.sum(dim=(2, 3), keepdim=True).clamp(min=1)
        low = (shown * (1 - mask)).sum(dim=(2, 3), keepdim=True) / (1 - mask).sum(dim=(2, 3), keepdim=True).clamp(min=1)
        axis = high - low
        back = ((shown - low) * axis).sum(dim=1, keepdim=True) / (axis * axis).sum(dim=1, keepdim=True).clamp(min=1e-2)
        f = f.index_put((some,), back.to(f.dtype))
    return f


def normalised(crops: torch.Tensor) -> torch.Tensor:
    """Stretch crops as ink.py does: the 5th and 97th percentile to 0 and 1."""
    pixels = crops.flatten(1)
    low, high = (pixels.kthvalue(1 + round(share * (pixels.shape[1] - 1)), dim=1).values for share in (0.05, 0.97))
    return ((crops - col(low)) / (col(high - low) + 1e-3)).clamp(-0.2, 1.2)
