"""What the user sees: answers on stdout, everything else on stderr. Consumes `run.events`, and nothing else."""
