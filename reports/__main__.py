"""``python -m reports`` is ``cs3bench``."""

from reports.cli import main

main()
