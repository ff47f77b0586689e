"""Slack: the Web API and exports, through one parser that drops content at the door."""
