"""The tables, and the only room that speaks SQL. Others call its functions inside `reading()` or `writing()`."""
