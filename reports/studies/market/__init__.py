"""An arm in a world: cells, what is measured in them, and what their facts add up to."""
