"""Quantized LoRA in Triton: operators for linear layers whose frozen weight is stored in 4 bits by bitsandbytes.

Imports torch and triton only. An application reaches the operators through `ft_kernels.registry`, which knows the
implementations of every device; nothing here reads a model or a file, nor the environment but for TRITON_INTERPRET.
"""
