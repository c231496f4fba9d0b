"""What is compared: a module for every stage, with its goals and contenders."""
