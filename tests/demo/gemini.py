"""Google's side of the demo provider: generateContent and its streams, countTokens,
embeddings, models; with the paths of the Gemini API and of Vertex AI."""

import json
import re

import text
from answer import Answer, disjoint, sse

CACHE_FROM = 2048   # a prompt of this many tokens is half read from the cache
THOUGHTS = 64
DIMENSIONS = 256
MODEL = r'(?:/v1beta|/v1|/v1beta1)?(?:/projects/[^/]+/locations/[^/]+)?(?:/publishers/google)?' \
    r'/models/(?P<model>[^/:]+):'


def thinks(model):
    return re.match(r'gemini-(2\.5|3|flash-latest|pro-latest)', model) is not None and \
        'lite' not in model


def parts_of(content):
    parts = (content or {}).get('parts') or []
    return parts if isinstance(parts, list) else [parts]


def prompt_of(contents):
    """The newest words of the user, whatever context stands before them."""
    said = [part.get('text') or '' for content in contents for part in parts_of(content)
            if content.get('role', 'user') == 'user']
    return said[-1] if said else ''


def tool_of(body, contents):
    """(name, arguments) of the function to call, or None."""
    if any('functionResponse' in part for part in parts_of(contents[-1])):
        return None
    names = [function['name'] for tool in body.get('tools') or []
             for function in tool.get('functionDeclarations') or []]
    asked = text.tool_asked(prompt_of(contents))
    return asked if asked and asked[0] in names else None


def contents_of(body):
    contents = body.get('contents') or [{}]
    return contents if isinstance(contents, list) else [contents]


def input_tokens(body):
    return text.input_tokens(contents_of(body), body.get('systemInstruction'),
                             body.get('tools'))


def usage_of(total, cached, output, thoughts):
    usage = {'promptTokenCount': total, 'totalTokenCount': total + output + thoughts,
             'promptTokensDetails': [{'modality': 'TEXT', 'tokenCount': total}],
             'trafficType': 'ON_DEMAND'}
    # Zeros are left out, as JSON made from protocol buffers does.
    for name, count in (('candidatesTokenCount', output), ('thoughtsTokenCount', thoughts),
                        ('cachedContentTokenCount', cached)):
        if count:
            usage[name] = count
    return usage


def generate(ask):
    contents = contents_of(ask.body)
    tool = tool_of(ask.body, contents)
    limit = (ask.body.get('generationConfig') or {}).get('maxOutputTokens') or 0
    words = text.words_of(prompt_of(contents), ask.script.words)
    if wants_json(ask.body):
        words = ['{}']
    pieces = words[:limit] if limit and not thinks(ask.model) else words
    total = input_tokens(ask.body)
    cached = ask.script.cached if ask.script.cached >= 0 else \
        total // 2 if total >= CACHE_FROM else 0
    thoughts = ask.script.reasoning if ask.script.reasoning >= 0 else \
        THOUGHTS * thinks(ask.model)
    output = 1 if tool else len(pieces)
    usage = usage_of(total, cached, output, thoughts)
    reply = Reply(ask, pieces, tool, 'MAX_TOKENS' if len(pieces) < len(words) else 'STOP')
    tokens = disjoint(total, cached, 0, output + thoughts, thoughts)
    chunks = reply.chunks(usage, total, thoughts)
    events = [sse(chunk) for chunk in chunks] if 'alt=sse' in ask.query else array(chunks)
    return Answer('gemini.generate', reply.id, ask.model, reply.document(usage), events, usage,
                  tokens, content_type='text/event-stream' if 'alt=sse' in ask.query
                  else 'application/json; charset=UTF-8')


def wants_json(body):
    return (body.get('generationConfig') or {}).get('responseMimeType') == 'application/json'


def array(chunks):
    """A stream as one array, in pieces that are no whole values."""
    texts = [json.dumps(chunk, indent=2) for chunk in chunks]
    return [('[' if i == 0 else ',\r\n').encode() + chunk.encode() +
            (b'\n]' if i == len(texts) - 1 else b'') for i, chunk in enumerate(texts)]


class Reply:
    """An answer as a document and as chunks."""

    def __init__(self, ask, pieces, tool, reason):
        self.id = 'demo%08d' % ask.number
        self.model = ask.model
        self.pieces = pieces
        self.tool = tool
        self.reason = reason

    def message(self, parts, reason, usage):
        candidate = {'content': {'parts': parts, 'role': 'model'}, 'index': 0}
        if reason:
            candidate['finishReason'] = reason
        return {'candidates': [candidate], 'usageMetadata': usage, 'modelVersion': self.model,
                'responseId': self.id}

    def call(self):
        return {'functionCall': {'name': self.tool[0], 'args': json.loads(self.tool[1])}}

    def document(self, usage):
        parts = [self.call()] if self.tool else [{'text': ''.join(self.pieces)}]
        return self.message(parts, self.reason, usage)

    def chunks(self, usage, total, thoughts):
        """Each chunk has the usage so far; the first one only the prompt's."""
        if self.tool:
            return [self.message([self.call()], self.reason, usage)]
        chunks = []
        for i, piece in enumerate(self.pieces):
            so_far = usage_of(total, 0, i, thoughts if i else 0)
            chunks.append(self.message([{'text': piece}], None, so_far))
        chunks[-1] = self.message([{'text': self.pieces[-1]}], self.reason, usage)
        return chunks


def count_tokens(ask):
    body = ask.body.get('generateContentRequest') or ask.body
    return {'totalTokens': input_tokens(body)}


def embed(ask):
    requests = ask.body.get('requests') or [ask.body]
    total = sum(text.input_tokens([request.get('content')]) for request in requests)
    vectors = [{'values': [((total + 7 * i) % 200 - 100) / 1600 for i in range(DIMENSIONS)]}
               for _ in requests]
    usage = {'promptTokenCount': total, 'totalTokenCount': total}
    whole = {'embeddings': vectors} if 'requests' in ask.body else {'embedding': vectors[0]}
    return Answer('gemini.embed', 'demo%08d' % ask.number, ask.model,
                  {**whole, 'usageMetadata': usage}, None, usage,
                  disjoint(total, 0, 0, 0, 0))


def wants_stream(ask):
    return ask.action == 'streamGenerateContent'


def error(status, words, _):
    names = {400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED',
             404: 'NOT_FOUND', 429: 'RESOURCE_EXHAUSTED', 503: 'UNAVAILABLE'}
    return {'error': {'code': status, 'message': words,
                      'status': names.get(status, 'INTERNAL')}}


ROUTES = [('POST', MODEL + '(?P<action>generateContent|streamGenerateContent)', generate),
          ('POST', MODEL + '(?P<action>countTokens)', count_tokens),
          ('POST', MODEL + '(?P<action>embedContent|batchEmbedContents)', embed)]
