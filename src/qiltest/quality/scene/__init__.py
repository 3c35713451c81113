"""What an image shows outside its text, and whether that is still the scene of another image of the same case.

`SmallCopy` is made of an image's pixels, `scene_of` measures it once the reader has found the text, `scene_change`
compares two, and `is_page` names a page with nothing but text. docs/measurements/scene.md has what was measured.
"""

from qiltest.quality.scene.compare import ChangeKind, SceneChange, is_page, scene_change
from qiltest.quality.scene.measure import scene_of
from qiltest.quality.scene.records import VERSION, Scene
from qiltest.quality.scene.small import SmallCopy

__all__ = ["VERSION", "ChangeKind", "Scene", "SceneChange", "SmallCopy", "is_page", "scene_change", "scene_of"]
