"""`Learner`, `vision_learner` and `load_learner`, with the names and signatures of the fastai book."""
