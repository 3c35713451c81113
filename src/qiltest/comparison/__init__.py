"""Two runs or two variants compared in pairs: pairing, statistics, verdict, and how many seeds would decide."""
