"""Runs the program ``forbear`` as ``python -m forbear``."""

from forbear.scripts.__main__ import main

if __name__ == "__main__":
    main()
