"""The demonstration: one call over a link that collapses, with the filter and without, measured at the viewer."""
