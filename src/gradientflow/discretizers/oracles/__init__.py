"""What a step sees instead of the flow itself: batches, noise, clipped gradients."""
