"""Lines of writing made of the packaged drawings, so that no font is needed."""

import cv2
import numpy as np

from qiltest.reading.glyphs.references import references

#: side of a drawing's em square as it is pasted, and of a crop's window
EM, WINDOW = 60, 72


def glyph(char, style=0):
    """A character's ink, 0 to 1, in a window of 1.2 em squares."""
    return cv2.resize(references().drawings(char)[style], (WINDOW, WINDOW), interpolation=cv2.INTER_AREA)


def line(glyphs, ink=(20, 20, 20), ground=(240, 240, 240), column=False, pitch=EM + 6, margin=80):
    """An image (RGB) with glyphs in a row or column, its box and the places of the characters."""
    length = pitch * (len(glyphs) - 1) + EM
    size = (EM + 2 * margin, length + 2 * margin)
    canvas = np.zeros(size[::-1] if column else size, np.float32)
    edge = margin - (WINDOW - EM) // 2
    for k, each in enumerate(glyphs):
        y, x = (edge + k * pitch, edge) if column else (edge, edge + k * pitch)
        part = canvas[y : y + WINDOW, x : x + WINDOW]
        np.maximum(part, each, out=part)
    image = np.array(ground) + (np.array(ink) - np.array(ground)) * canvas[..., None]
    right, bottom = (EM, length) if column else (length, EM)
    box = tuple((float(margin + x), float(margin + y)) for x, y in ((0, 0), (right, 0), (right, bottom), (0, bottom)))
    places = [(EM / 2 + k * pitch) / length for k in range(len(glyphs))]
    return np.clip(image, 0, 255).astype(np.uint8), box, places


def turned(image, box, degrees):
    """The image and the box turned around the image's middle."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    flat = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return flat, tuple((float(x), float(y)) for x, y in np.array([[x, y, 1] for x, y in box]) @ matrix.T)


def alike(one, two):
    """The largest correlation of two crops within a few pixels."""
    inner = one[4:-4, 4:-4]
    shifts = [(y, x) for y in range(9) for x in range(9)]
    return max(np.corrcoef(inner.ravel(), two[y : y + 40, x : x + 40].ravel())[0, 1] for y, x in shifts)
