"""What can sit in a seat, over numpy: policies by name, mixtures, masks, noise. Nothing here needs TensorFlow."""
