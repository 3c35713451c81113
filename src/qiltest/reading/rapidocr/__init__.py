"""RapidOCR, the default reader, and how it looks again where its first look was in doubt."""
