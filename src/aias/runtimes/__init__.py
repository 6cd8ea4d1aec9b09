"""An artifact in memory, answering. Nothing here can train."""
