"""`python -m flows_platform` is `flows`."""

from flows_platform.cli import main

if __name__ == "__main__":
    main()
