"""``python -m mfpolicy``: the command line without the console script."""

from mfpolicy.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
