"""The kinds of report files, by name: read with the options, so nothing is imported here."""

REPORTS = ("json", "html", "md")
