"""`python -m wan22`: the command line, where its script is not on the PATH."""

from wan22.cli import main

if __name__ == "__main__":
    main()
