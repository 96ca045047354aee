"""``python -m cytof``: the same as the command ``cytof``."""

from cytof.cli import main

if __name__ == "__main__":
    main()
