"""The kinds of runs, one file each: ``kind`` says what is known of one, ``registry`` finds them all by name."""
