"""What a run says about itself: the terminal's table, the progress line, the results file."""
