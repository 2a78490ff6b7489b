"""Speed and memory of tombola beside its peers, measured in one run; see README.md in this folder."""
