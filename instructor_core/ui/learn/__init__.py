"""Learn: lessons in the live page, whose claims are held against what the checkpoint in use computes."""
