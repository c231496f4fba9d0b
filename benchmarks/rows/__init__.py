"""What is compared: a module a stage, each with its goals and its contenders."""
