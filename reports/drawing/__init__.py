"""How anything looks: strokes and colours, what a pointer is told, labels that stand apart, the wording of numbers."""
