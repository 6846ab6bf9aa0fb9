"""The ledger: the studies received, the state of each, and the reason. It holds no identity."""
