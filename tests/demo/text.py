"""The demo provider's words and its way of counting tokens.

Input: one token for every four bytes (begun) of all text and tool definitions in a request,
and three for each message. Output: one token for each word, reasoning on top of that for the
models that think (gpt-5..., o1...: 64 tokens). Both follow from the request alone, so that a
test can know them beforehand.
"""

import json
import re

WORDS = ('the meter counts every token that passes and keeps a record of each call so '
         'that nothing is lost and nothing is counted twice').split()

TOOL_REQUEST = re.compile(r'call the tool (\w+) with (\{.*?\})(?:\s|$)', re.S)
SAY_REQUEST = re.compile(r'say exactly: (.+)', re.I)


def tokens(text):
    return -(-len(text.encode('utf-8', 'surrogatepass')) // 4)


def strings(value):
    """All text in a JSON value."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ''.join(strings(item) for item in value)
    if isinstance(value, dict):
        return ''.join(strings(item) for item in value.values())
    return ''


def input_tokens(messages, *extras):
    count = sum(tokens(strings(message)) + 3 for message in messages)
    return count + sum(tokens(json.dumps(extra, sort_keys=True)) for extra in extras if extra)


def thinks(model):
    return re.match(r'gpt-5|o\d', model) is not None


def words_of(prompt, count):
    """The answer as pieces, each one token: a word with its leading space."""
    said = SAY_REQUEST.search(prompt)
    if said:
        words = said.group(1).splitlines()[0].split()
    else:
        start = tokens(prompt) % len(WORDS)
        words = WORDS[start:] + WORDS[:start]
    if count:
        words = [words[i % len(words)] for i in range(count)]
    elif not said:
        words = words[:12]
    return [words[0]] + [' ' + word for word in words[1:]]


def tool_asked(prompt):
    """(name, arguments as JSON text) if the prompt asks for a tool call."""
    match = TOOL_REQUEST.search(prompt)
    return (match.group(1), match.group(2)) if match else None
