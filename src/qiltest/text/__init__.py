"""Text helpers without dependencies: normalisation, look-alikes, escaping, formatting of numbers."""
