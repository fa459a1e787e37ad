"""What task files there are: names, kinds, tags and members, known without parsing them all.

``scanner`` reads the few keys from one file, ``build`` from all of a folder, ``manifest`` tells whether a folder has
changed, ``cache`` keeps what was found, and ``names`` looks up words in several sources.
"""
