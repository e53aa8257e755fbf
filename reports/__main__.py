"""``python -m reports`` is ``cs3bench``."""

from reports.cli import main

if __name__ == "__main__":
    main()
