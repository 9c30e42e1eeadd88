"""`python -m loquela` is the program `loquela`."""

from loquela.cli.main import main

main()
