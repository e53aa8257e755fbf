"""One question, one file; each study writes its run directory."""
