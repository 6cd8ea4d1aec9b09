"""Models that others trained → published versions like our own: read in a process apart, written anew, proved."""
