"""How instructor-mini, the checkpoint of this project, is made: ``python -m instructor_core.train.mini``."""
