"""The kernel layer: raw arrays in, raw arrays out; no Tensor is known here. One file per family of ops."""
