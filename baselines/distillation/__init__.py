"""Distillation, the rivals of CMS: losses that fill the towers' slot with what the log says of the ``teacher``.

``kd`` takes its logits, ``listkl`` its order of a request's ads, ``cit`` its hidden vectors.
"""
