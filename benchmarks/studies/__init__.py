"""The studies, one a folder: what is run, its baselines and scores, its report and its figures."""
