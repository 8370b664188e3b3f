"""`python -m soravec`."""

from soravec.cli import main

if __name__ == "__main__":
    main()
