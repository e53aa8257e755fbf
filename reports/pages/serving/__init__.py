"""The page of a latency study."""
