"""A photo, a drawing or a clip that speaks: how it sways, breathes, blinks and opens its mouth."""
