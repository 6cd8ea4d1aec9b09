"""When a request's rows run, with which others, and on which thread."""
