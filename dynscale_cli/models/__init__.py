"""Which model: what is on disk, how to get more, which file a name stands for, and what would crash the process."""
