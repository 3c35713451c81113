"""Text helpers: normalisation, look-alikes, escaping, formatting of numbers, and a console that texts cannot act on."""
