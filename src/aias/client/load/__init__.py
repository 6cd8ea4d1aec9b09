"""Load upon a server, and what it does under it: requests at the times they were meant for, and honest latencies.

workload (what to ask) ─▶ target (bytes) ─▶ generator ─▶ result ─▶ plot
                              plan ─────────▲   │
                                            peak: the highest rate that keeps the objective
"""
