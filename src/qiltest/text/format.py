"""Format numbers for people: durations, rates, factors, counts."""

from __future__ import annotations

import math


def seconds(value: float) -> str:
    """Return a duration for people: `87 ms`, `3.42 s`, `1 min 42 s`."""
    if not math.isfinite(value):
        return "not a number"
    if value < 0.9995:
        return f"{value * 1000:.3g}\u00a0ms"
    if value < 99.95:
        return f"{value:.3g}\u00a0s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def percent(value: float) -> str:
    """Return a rate as per cent, with one decimal below 10 %."""
    scaled = value * 100
    # a no-break space keeps the number with its unit
    return "0\u00a0%" if scaled == 0 else f"{scaled:.1f}\u00a0%" if scaled < 9.95 else f"{scaled:.0f}\u00a0%"


def at_strength(file: str, strength: float) -> str:
    """Return the name of a LoRA file, with the strength that it is taken at where that is not 1."""
    return file if strength == 1 else f"{file} x {strength:g}"


def times(value: float) -> str:
    """Return a factor, for example `12.4×`."""
    return f"{value:.3g}×"


def number(value: float) -> str:
    """Return a number without needless decimals."""
    return f"{value:.0f}" if value == round(value) else f"{value:.2g}"


def count(amount: int, noun: str, plural: str = "") -> str:
    """Return `1 image`, `3 images`."""
    return f"{amount} {noun if amount == 1 else plural or noun + 's'}"


def size(amount: int) -> str:
    """Return a number of bytes for people: `340 kB`, `12.3 MB`, `1.2 GB`."""
    if amount < 1_000_000:
        return f"{amount / 1e3:.0f}\u00a0kB"
    unit, scale = ("MB", 1e6) if amount < 1_000_000_000 else ("GB", 1e9)
    return f"{amount / scale:.1f}\u00a0{unit}"
