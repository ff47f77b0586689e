"""What a change of policy did: outcomes by team and week, and designs that compare with what would have been."""
