"""Late interaction at scale."""
