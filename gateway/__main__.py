"""`python -m gateway` is `rayleans`."""

from gateway.cli import main

main()
