"""The command line: one file per subcommand; each parses, makes one call into a library function, and prints."""
