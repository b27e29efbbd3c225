"""What a trained model does on one held-out sample: arrays, and figures as the papers draw them."""
