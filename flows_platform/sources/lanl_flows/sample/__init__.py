"""A generated data set with the shape and skew of the real one."""
