"""Problems told to a webhook once: when they come, and when they are over."""
