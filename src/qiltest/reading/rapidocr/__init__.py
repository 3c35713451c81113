"""RapidOCR, the default reader: detection, recognition from several views, corrections of letter case and 1."""
