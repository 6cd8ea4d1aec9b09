"""A version → smaller and faster ones, each with its proof or the reason why it fell."""
