"""`python -m tfs.cli` is the `tfs` command."""

from tfs.cli.start import main

main()
