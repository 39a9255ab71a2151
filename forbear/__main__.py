"""``python -m forbear`` is the program ``forbear``."""

from forbear.scripts.__main__ import main

if __name__ == "__main__":
    main()
