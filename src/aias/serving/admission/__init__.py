"""Who may ask, how much and how soon; and how the others are refused."""
