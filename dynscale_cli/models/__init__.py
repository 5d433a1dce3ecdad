"""Which model: resolve a name to a file, read the file's header, refuse what would take the process down."""
