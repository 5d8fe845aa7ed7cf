"""`tritorch.utils.data` and, as in PyTorch, what else goes by that name."""
