"""What queries read, and what they answer: views up to a token, the log, the past, what is new."""
