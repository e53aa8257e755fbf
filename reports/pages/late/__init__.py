"""The page of late interaction at scale."""
