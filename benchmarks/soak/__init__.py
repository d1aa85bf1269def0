"""Long calls: memory flat, lips and sound together, nothing left behind after the hang-up."""
