"""Whom a message mentions, read from its text and its blocks before both are dropped."""

from __future__ import annotations

import re
from typing import Any, Final

from connectors.slack.people import is_id

# Slack writes a mention as <@U123>, <@U123|name> or <!subteam^S123|@handle>; a typed "<" arrives as &lt;
_MENTION: Final = re.compile(r"<(?:@([A-Z0-9]{2,64})|!subteam\^([A-Z0-9]{2,64}))(?:\|[^<>]*)?>")
_MAX_NODES: Final = 50_000


def in_text(text: str, users: dict[str, None], groups: dict[str, None]) -> None:
    """Add the users and user groups that a text mentions."""
    if "<@" in text or "<!subteam^" in text:
        for user, group in _MENTION.findall(text):
            if user:
                users[user] = None
            else:
                groups[group] = None


def in_blocks(blocks: list[Any], users: dict[str, None], groups: dict[str, None]) -> None:
    """Add the users and user groups that Block Kit blocks mention: rich text elements, and Slack's markup in mrkdwn texts.

    A rich text's own words are literal: "<@U123>" typed there is no mention. The walk keeps its own stack and stops
    after 50,000 nodes, a hundred times what Slack allows, so that no nesting can stop the parser.
    """
    stack: list[Any] = [blocks]
    left = _MAX_NODES
    while stack and left:
        left -= 1
        node = stack.pop()
        if type(node) is list:
            stack.extend(reversed(node))
        elif type(node) is dict:
            kind = node.get("type")
            if kind == "text":
                continue
            if kind == "user":
                user = node.get("user_id")
                if is_id(user):
                    users[user] = None
            elif kind == "usergroup":
                group = node.get("usergroup_id")
                if is_id(group):
                    groups[group] = None
            elif kind == "mrkdwn":
                text = node.get("text")
                if isinstance(text, str):
                    in_text(text, users, groups)
            else:
                for part in (node.get("elements"), node.get("fields"), node.get("text")):
                    if part.__class__ is list or part.__class__ is dict:
                        stack.append(part)
