"""Runs public cases: folders that hold a small input of a real shape and, in `expected.json`, what is right.

    PYTHONPATH=tests python -m cases ../shared/cases/*/*/

What a folder holds says what it is:

- `graph.json`: a Microsoft 365 tenant, replayed on the real connector over loopback (`cases.graph`);
- `input.*`, perhaps `people.*`: an events file, imported by the command (`cases.events`);
- `steps` in `expected.json`: Slack exports, imported one after the other (`cases.slack_export`);
- `server` in `expected.json`: Slack's Web API, imitated on loopback (`cases.slack_api`).
"""
