"""Two arms in twin worlds."""
