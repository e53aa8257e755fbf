"""The pictures of a world's card."""
