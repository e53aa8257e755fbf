"""The stylised facts of a world beside those of real logs, and the constants calibrated on them."""
