"""Scores and goldens of one text."""

from dataclasses import replace

import pytest

from qiltest.gate.golden import SCHEMA, Golden, GoldenText
from qiltest.reading import ReaderInfo
from qiltest.recipe import Size
from qiltest.scoring import Score, TextScore

READER = ReaderInfo(name="rapidocr", engine="standin", version="1", weights_sha256="0" * 64)
SIZE = Size(256, 128)


class Maker:
    reader = READER
    size = SIZE

    def score(self, distance: int = 0, *, expected: str = "Qwen Coffee", reader: ReaderInfo = READER) -> Score:
        text = TextScore(
            expected=expected,
            read="as read",
            distance=distance,
            distance_alnum=distance,
            length=10,
            edits=(),
            lines=(0,),
        )
        return Score(reader=reader, texts=(text,), extra=(), distance=distance, distance_alnum=distance, length=10)

    def golden(self, distance: int = 0, **fields: object) -> Golden:
        golden = Golden(
            schema=SCHEMA,
            case="coffee",
            size="1328x1328",
            variant="4step",
            seed=42,
            model="tiny",
            effective=str(SIZE),
            reader=READER.fingerprint,
            distance=distance,
            distance_alnum=distance,
            length=10,
            noise_floor=None,
            texts=(GoldenText(expected="Qwen Coffee", read="as read", distance=distance),),
            extra=(),
            recipe_key="a" * 64,
            recipe={"torch": "2.11", "steps": 4},
            picture="b" * 64,
        )
        return replace(golden, **fields)


@pytest.fixture(scope="session")
def make() -> Maker:
    return Maker()
