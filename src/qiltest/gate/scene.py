"""The verdict on an image's scene: whether what is outside its text is still what its golden accepted."""

from __future__ import annotations

from dataclasses import replace

from qiltest.gate.golden import Golden
from qiltest.gate.verdict import Judgement, Verdict, with_fault
from qiltest.quality.scene import Scene, is_page, scene_change

#: said of an image without a golden; nothing fails by it.
PAGE = "note: the image shows nothing but text on a plain page"


def with_scene(
    judgement: Judgement, scene: Scene | None, golden: Golden | None, *, comparable: bool, gates: bool
) -> Judgement:
    """Return the verdict on an image's text and scene together.

    A scene that is gone or replaced is FAIL whatever the text is; one that cannot be compared turns PASS into
    INCOMPARABLE. A golden that is not `comparable` (of another model, size, or list of texts) says so already. `gates`
    is False where the case has `quality = "report"`: then what is found is said and does not fail. Without a golden, a
    page with nothing but text is named.
    """
    if golden is None:
        named = scene is not None and is_page(scene)
        return replace(judgement, reasons=(*judgement.reasons, PAGE)) if named else judgement
    found = change_of(scene, golden) if comparable else ""
    if found:
        return with_fault(judgement, found, gates=gates)
    unlike = _not_comparable(scene, golden) if comparable and gates else ""
    if unlike:
        verdict = Verdict.INCOMPARABLE if judgement.verdict is Verdict.PASS else judgement.verdict
        return replace(judgement, verdict=verdict, reasons=(*judgement.reasons, unlike))
    return judgement


def change_of(scene: Scene | None, golden: Golden | None) -> str:
    """Return how a scene differs from a golden's, or "" where it does not or cannot be compared."""
    if scene is None or golden is None or golden.scene is None or _not_comparable(scene, golden):
        return ""
    change = scene_change(golden.scene, scene)
    return "" if change is None else change.message


def _not_comparable(scene: Scene | None, golden: Golden) -> str:
    if scene is None:
        return "the image's scene was not measured"
    if golden.scene is None:
        return "the golden keeps no scene: record it again"
    if golden.scene.version != scene.version:
        versions = f"version {golden.scene.version}, this image's by version {scene.version}"
        return f"the golden's scene was measured by {versions}: record the golden again"
    return ""
