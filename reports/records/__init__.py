"""The nouns that all rooms share. No model, no world, no picture."""
