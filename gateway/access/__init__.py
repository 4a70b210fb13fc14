"""Who may come in: tokens, keys, scopes, rates, and the one-time link of the console."""
