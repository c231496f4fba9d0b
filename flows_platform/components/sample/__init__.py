"""From one answer of an API to a first draft of its source: what is guessed is marked as a guess."""
