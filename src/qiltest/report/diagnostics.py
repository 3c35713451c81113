"""Image quality in words: the measures below an image's text, and the faults that do not fail the image."""

from __future__ import annotations

from collections.abc import Iterator

from qiltest.quality import Health, symptoms
from qiltest.quality.scene import Scene
from qiltest.text.format import number, percent


def reported_faults(health: Health | None) -> list[str]:
    """Return the faults that do not gate; those that gate are among the reasons of the image's verdict."""
    return [] if health is None else [symptom.message for symptom in symptoms(health) if not symptom.gates]


def figures(health: Health | None) -> Iterator[tuple[str, str]]:
    """Yield each measure with its value and unit; nothing where the image was not measured."""
    if health is None:
        return
    yield "noise", f"{_two(max(health.noise_fine, health.noise_coarse))} grey levels"
    if health.specks is not None:
        yield "specks", f"{_two(health.specks)} grey levels"
    yield "grid", f"{_two(max(health.grid_latent, health.grid_patch))} grey levels"
    if health.blur is not None:
        yield "sharpest edges", f"{_two(health.blur)} px"
    yield "clipped", percent(health.clipped)
    yield "chroma", percent(health.saturation)
    if health.halo is not None:
        yield "halos", percent(max(0.0, health.halo))
    if health.scene is not None:
        yield "text covers", percent(health.scene.text)
        yield "structure outside text", _structure(health.scene)
    detail = "not measured" if health.detail is None else f"{_two(health.detail)} % of the contrast"
    yield "fine detail outside text", detail


def _structure(scene: Scene) -> str:
    """Return the structure of a scene from fine to coarse scales."""
    values = ("–" if value is None else number(round(value, 1)) for value in scene.structure)
    return f"{', '.join(values)} grey levels, fine to coarse"


def _two(value: float) -> str:
    return number(round(value, 2))
