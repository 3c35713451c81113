"""The verdict on a run to a person: one GitHub issue per failing case, and a small JSON to a webhook."""
