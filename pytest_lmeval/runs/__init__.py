"""What a run leaves behind: every report is made of it, now or later, here or elsewhere."""
