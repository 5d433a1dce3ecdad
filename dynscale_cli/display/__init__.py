"""What the user sees: answers on stdout, everything else on stderr. Consumes `runs.events`, and nothing else."""
