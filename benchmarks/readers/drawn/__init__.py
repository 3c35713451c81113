"""Images of known text, drawn from a seed: what they show is known without reading them."""
