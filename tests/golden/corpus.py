"""The recorded exchanges in ../shared/corpus, as cases for the running proxy."""

import base64
import glob
import json
import os
import re
import zlib

from proxy import shared

# The providers that cases go to, with the dialects they speak; and which cases: the first
# rule holds whose API begins so and whose host contains that.
PROVIDERS = {
    'openai': ['openai'], 'anthropic': ['anthropic'], 'azure': ['azure'],
    'gemini': ['gemini', 'openai'], 'vertex': ['vertex', 'openai'],
    'bedrock': ['bedrock', 'openai', 'anthropic'], 'ollama': ['ollama', 'openai'],
    'cohere': ['cohere', 'openai'], 'mistral': ['mistral', 'openai'],
    'writer': ['writer', 'openai'], 'cloudflare': ['cloudflare', 'openai'],
    'other': ['anthropic']}
RULES = (
    ('', 'aiplatform.googleapis.com', 'vertex'), ('', 'generativelanguage', 'gemini'),
    ('gemini.', '', 'gemini'), ('bedrock.', '', 'bedrock'),
    ('', 'bedrock-runtime', 'bedrock'), ('anthropic.', '', 'anthropic'),
    ('', 'api.anthropic.com', 'anthropic'), ('cohere.', '', 'cohere'),
    ('', 'api.cohere', 'cohere'), ('mistral.', '', 'mistral'), ('ollama.', '', 'ollama'),
    ('cloudflare.', '', 'cloudflare'), ('', 'api.cloudflare.com', 'cloudflare'),
    ('writer.', '', 'writer'), ('', '.azure.com', 'azure'), ('openai.', '', 'openai'),
    ('groq.', '', 'openai'), ('', 'api.openai.com', 'openai'),
    ('', 'api.voyageai.com', 'openai'), ('', '', 'other'))
NATIVE_FIELDS = {'anthropic': 'x-api-key', 'azure': 'api-key', 'gemini': 'x-goog-api-key'}
SPLICED = {'openai.chat', 'openai.completions', 'groq.chat', 'writer.chat'}
FREE = {'anthropic.count_tokens', 'openai.count_tokens', 'gemini.count_tokens'}

CREDENTIALS = {'authorization', 'x-api-key', 'api-key', 'x-goog-api-key', 'cookie',
               'proxy-authorization', 'openai-organization', 'openai-project'}
FRAMING = {'host', 'connection', 'content-length', 'transfer-encoding', 'expect', 'te',
           'keep-alive', 'proxy-connection', 'upgrade', 'trailer'}


class Case:
    """One recorded exchange."""

    def __init__(self, row):
        self.id = row['id']
        self.api = row['api']
        self.method = row['method']
        self.path = row['path']
        self.status = row['status']
        self.stream = row['stream']
        self.expected = row['expected']
        self.flags = set(row['flags'])
        self.request_fields = [(name, value) for name, value in row['request_headers']
                               if name.lower() not in CREDENTIALS | FRAMING]
        self.response_fields = [(name, value) for name, value in row['response_headers']
                                if name.lower() not in FRAMING]
        self.request_body = body_of(row, 'request_body') or nominal_body(row)
        self.response_body = body_of(row, 'response_body')
        self.seed = zlib.crc32(self.id.encode())
        self.provider = provider_of(row)
        self.coding = None  # that the client accepts, and the response has

    def is_metered(self):
        """Must its tokens be counted exactly?"""
        return not self.api.startswith('other.')

    def asks_for_stream_without_usage(self):
        """Is this a request whose stream would not report usage?"""
        if self.api not in SPLICED:
            return False
        try:
            body = json.loads(self.request_body)
        except ValueError:
            return False
        options = body.get('stream_options') or {}
        return body.get('stream') is True and options.get('include_usage') is not True


def body_of(row, name):
    if name + '_b64' in row:
        return base64.b64decode(row[name + '_b64'])
    return (row.get(name) or '').encode('utf-8', 'surrogatepass')


def nominal_body(row):
    """A request for a recording that holds none."""
    if row['method'] != 'POST' or row['api'].startswith('other.'):
        return b''
    return json.dumps({'model': row['model_requested'] or 'MODEL', 'stream': row['stream'],
                       'stream_options': {'include_usage': True}}).encode()


def provider_of(row):
    return next(provider for api, host, provider in RULES
                if row['api'].startswith(api) and host in (row['host'] or ''))


def load(step=1):
    """All cases; with `step` every step-th."""
    rows = []
    for name in sorted(glob.glob(shared('corpus', '*.jsonl'))):
        with open(name, encoding='utf-8') as file:
            rows += [json.loads(line) for line in file]
    return [Case(row) for row in rows[::step]]


def available():
    return os.path.isdir(shared('corpus'))


def without_usage_chunk(body):
    """A recorded stream as a client sees it that did not ask for usage: without the event
    that has usage and no choices. The body itself if there is none."""
    kept = []
    for block in re.split(rb'(?<=\n\n)|(?<=\r\n\r\n)', body):
        if not is_usage_chunk(block):
            kept.append(block)
    return b''.join(kept)


def is_usage_chunk(block):
    data = b''.join(line[5:] for line in block.splitlines() if line.startswith(b'data:'))
    try:
        chunk = json.loads(data)
    except ValueError:
        return False
    return isinstance(chunk, dict) and chunk.get('choices') == [] and bool(chunk.get('usage'))
