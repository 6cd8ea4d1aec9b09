"""Several versions behind one endpoint: who is answered by which, and how the others fare."""
