"""What lets connections outlive the worker that answers them. `docs/decisions/0007` says how and why."""
