"""A graph that has handwritten digits classified by remote workers."""
