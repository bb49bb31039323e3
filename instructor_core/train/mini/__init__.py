"""How instructor-mini, the checkpoint that comes with the project, is made: ``python -m instructor_core.train.mini``."""
