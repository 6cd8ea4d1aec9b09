"""What a server has done: metrics, statistics, the access log, traces."""
