"""Where fits run: worker processes, where they come from, how long and how much memory they may take."""
