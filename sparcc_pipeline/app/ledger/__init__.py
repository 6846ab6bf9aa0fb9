"""The ledger: which studies came, what became of each, and why. It holds no identity."""
