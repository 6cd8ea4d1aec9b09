"""Bodies ↔ columns: JSON, CSV, Arrow, Parquet, tensors."""
