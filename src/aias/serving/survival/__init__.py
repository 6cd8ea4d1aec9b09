"""What lets connections outlive the worker that answers them. `docs/decisions/0006` says how and why."""
