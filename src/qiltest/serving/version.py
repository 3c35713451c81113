"""The version of the code that asks servers: part of every served recipe."""

from __future__ import annotations

#: Raise it by one whenever a change of this room may change an image: what is sent, or how an answer becomes pixels.
SERVING_VERSION = 1
