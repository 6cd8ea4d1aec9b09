"""Model families: each fits numbers to answers and writes what it fitted into the graph."""
