"""qiltest reads the text in generated pictures and says whether a text-to-image release got worse."""

__version__ = "0.1.0"
