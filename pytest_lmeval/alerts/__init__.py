"""Alerts: a few lines on a run's verdict to wherever a team reads, through Apprise."""
