"""A 4-bit weight written out in full, in one launch, with the bits that bitsandbytes gives."""
