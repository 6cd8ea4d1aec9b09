"""The processes of a server: workers and their supervisor, started, watched and replaced."""
