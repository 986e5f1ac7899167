"""`python -m tfs.cli` is the `tfs` command."""

from tfs.cli.main import main

main()
