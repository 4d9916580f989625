"""Gradients of LoRA matrices: a narrow matrix times a wide one, summed over all tokens in fp32 and in a fixed order."""
