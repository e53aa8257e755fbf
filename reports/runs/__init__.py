"""What is on disk: a finished run in a notebook, its kind, its tables; the runs of a folder; several compared."""
