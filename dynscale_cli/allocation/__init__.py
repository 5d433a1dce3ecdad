"""Where the next tokens go: the budget's ledger, the state of the race, the policies. Pure: no I/O, no clock."""
