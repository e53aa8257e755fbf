"""Named worlds as TOML, each with a paragraph on what it is and what it is not."""
