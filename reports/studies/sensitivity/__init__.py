"""An arm's lift over a dial of the world."""
