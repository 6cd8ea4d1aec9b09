"""Raw values → tensors: pure, versioned, the very same code at training and at serving."""
