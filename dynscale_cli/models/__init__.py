"""Which model: what is on disk and how to get more, which file a name stands for, and what would take the process down."""
