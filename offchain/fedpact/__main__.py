"""`python -m fedpact`: the same as the command `fedpact`."""

from fedpact.cli.main import run

if __name__ == "__main__":
    run()
