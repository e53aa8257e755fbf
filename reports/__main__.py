"""``python -m reports`` is ``cs3bench``."""

from reports.commands.main import main

if __name__ == "__main__":
    main()
