"""Real servers on this machine without Docker: installed from pinned packages, started, watched and stopped.

Standard library only. `control` is what tests call; `cli` is the same for people.
"""
