"""The network that is told which character a crop should show, and says whether its strokes are broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as state

from qiltest.errors import ReaderError, os_errors_as
from qiltest.files import read_file
from qiltest.reading.glyphs.crop import SIDE
from qiltest.reading.glyphs.references import FILE as DRAWINGS
from qiltest.reading.glyphs.references import References, references
from qiltest.reading.glyphs.version import GLYPHS_VERSION

FILE: Final = Path(__file__).with_name("glyphs.onnx")
MAX_FILE: Final = 2 << 20
#: Crops that are judged at once: more take more memory and no less time.
BATCH: Final = 64
#: What ONNX Runtime raises for a file that is no model, and what the calibration in its metadata may.
_DAMAGED: Final[tuple[type[Exception], ...]] = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NotImplemented,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
)
_REMEDY: Final = "install qiltest again"


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How one script's outputs become log-odds: `scale` * output + `offset`; what is smaller is not judged."""

    scale: float
    offset: float
    #: of a crop (`Crop.height`), pixels; below it the answer says nothing.
    least_height: float


def script(char: str) -> str:
    """Return the script whose calibration holds for a character: han, kana, latin or digit."""
    if "\u3040" <= char <= "\u30ff":
        return "kana"
    if char.isascii():
        return "digit" if char.isdigit() else "latin"
    return "han"


class Verifier:
    """Judges crops. Sessions of ONNX Runtime may be used by several threads."""

    def __init__(self, *, threads: int = 1, weights: Path = FILE, drawings: Path = DRAWINGS) -> None:
        """Open the network with `threads` threads. Raises ReaderError where its file is missing or damaged."""
        self._drawings = drawings
        data = _bytes(weights)
        self._sha256 = hashlib.sha256(data).hexdigest()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(data, sess_options=options, providers=["CPUExecutionProvider"])
            stored = json.loads(self._session.get_modelmeta().custom_metadata_map["calibration"])
            self.calibrations = {name: Calibration(**values) for name, values in stored.items()}
        except _DAMAGED as error:
            raise ReaderError(f"the network is damaged ({error})", where=str(weights), remedy=_REMEDY) from error
        self._input = self._session.get_inputs()[0].name

    @cached_property
    def references(self) -> References:
        """The drawings that crops are compared with."""
        return references(self._drawings)

    @cached_property
    def fingerprint(self) -> str:
        """Short hash over the network, the drawings and the version of the code."""
        digest = hashlib.sha256(f"{GLYPHS_VERSION}\0{self._sha256}\0".encode())
        digest.update(_bytes(self._drawings))
        return digest.hexdigest()[:12]

    def judges(self, char: str, height: float) -> bool:
        """Return whether a character of this height (`Crop.height`, pixels) is judged: drawn, and not too small."""
        return self.references.has(char) and height >= self.calibrations[script(char)].least_height

    def log_odds(self, crops: NDArray[np.float32], chars: Sequence[str]) -> NDArray[np.float32]:
        """Return the log-odds that each crop's strokes are broken; above 0 it is flagged.

        `crops`: (n, `SIDE`, `SIDE`), ink as `Crop.ink` has it. `chars`: the character that each was read as. 0 is where
        the share of whole characters that are flagged is the budget of the character's script
        (docs/measurements/glyphs.md). Raises KeyError for a character that is not drawn.
        """
        raw = self.outputs(crops, chars)
        found = [self.calibrations[script(char)] for char in chars]
        scale = np.array([each.scale for each in found], dtype=np.float32)
        offset = np.array([each.offset for each in found], dtype=np.float32)
        return np.asarray(raw * scale + offset, dtype=np.float32)

    def outputs(self, crops: NDArray[np.float32], chars: Sequence[str]) -> NDArray[np.float32]:
        """Return the network's own outputs, not calibrated, shape (n,)."""
        if crops.shape != (len(chars), SIDE, SIDE):
            raise ValueError(f"crops of shape {crops.shape} for {len(chars)} characters")
        result = [np.zeros(0, dtype=np.float32)]
        for first in range(0, len(chars), BATCH):
            some = slice(first, first + BATCH)
            drawn = np.stack([self.references.drawings(char) for char in chars[some]])
            batch = np.concatenate([crops[some, None], drawn], axis=1).astype(np.float32)
            result.append(np.asarray(self._session.run(None, {self._input: batch})[0], dtype=np.float32).reshape(-1))
        return np.concatenate(result)


def _bytes(file: Path) -> bytes:
    with os_errors_as(ReaderError, "cannot be opened", where=str(file), remedy=_REMEDY):
        return read_file(file, most=max(MAX_FILE, 3 << 20))
