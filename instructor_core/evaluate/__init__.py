"""What a checkpoint can do, measured: instruction against label, plain similarity, and a reference beside both.

`python -m instructor_core.evaluate` prints the whole table; `evaluation.evaluate_checkpoint` returns it.
"""
