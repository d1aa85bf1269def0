"""The face: tracked, remembered, and drawn again with another mouth. One thread per call owns all of it."""
