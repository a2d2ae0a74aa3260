"""The kinds of calls that tests/demo/traffic.py makes: each sends one request through the
proxy and says what is wrong with the answer.

A kind is a function of a Caller. It raises Wrong if the client would not have got what it
has to get: from the demo provider, whose answers are known beforehand, or from assay.
"""

import dataclasses
import http.client
import json

SECONDS = 60

AGENT_PROMPT = ('You are a careful engineer. Read the code before you change it, keep to its '
                'style, and prove every change by a test. ') * 40
WEATHER = {'type': 'object', 'required': ['city'],
           'properties': {'city': {'type': 'string'}}}


class Wrong(Exception):
    """The answer is not what it has to be."""


@dataclasses.dataclass
class Answer:
    """What came back."""

    status: int
    exchange: str    # assay-exchange-id, or None
    body: bytes

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The data of a stream's events, those that are JSON."""
        return [json.loads(line[6:]) for line in self.body.decode().splitlines()
                if line.startswith('data: {')]


class Caller:
    """A person's tool: its key, how it names itself, and the model it asks for."""

    def __init__(self, address, key, fields, models, note):
        self.address = address
        self.key = key
        self.fields = fields
        self.models = models
        self.note = note          # is told the id of every exchange
        self.turn = 0

    def model(self):
        self.turn += 1
        return self.models[self.turn % len(self.models)]

    def open(self, method, path, body=None, **more):
        """Sends a request: (connection, response) with the response's head read."""
        connection = http.client.HTTPConnection(*self.address, timeout=SECONDS)
        fields = {**self.fields, 'content-type': 'application/json',
                  **{name.replace('_', '-'): value for name, value in more.items()}}
        if 'anthropic' in path:
            fields = {'anthropic-version': '2023-06-01', 'x-api-key': self.key, **fields}
        else:
            fields = {'authorization': 'Bearer ' + self.key, **fields}
        connection.request(method, path, json.dumps(body) if body else None, fields)
        response = connection.getresponse()
        exchange = response.getheader('assay-exchange-id')
        if exchange:
            self.note(exchange)
        return connection, response

    def call(self, method, path, body=None, status=200, **more):
        """A whole exchange, which has to end with this status."""
        connection, response = self.open(method, path, body, **more)
        try:
            answer = Answer(response.status, response.getheader('assay-exchange-id'),
                            response.read())
        finally:
            connection.close()
        if answer.status != status:
            raise Wrong('%s %s: status %d instead of %d: %s' % (
                method, path, answer.status, status, answer.body[:200]))
        return answer

    def post(self, path, body, **more):
        return self.call('POST', path, body, **more)


def need(fine, words):
    if not fine:
        raise Wrong(words)


def question(caller):
    return {'role': 'user', 'content': 'Question %d: what does the meter do?' % caller.turn}


# --- OpenAI ---------------------------------------------------------------------------

def chat(caller):
    answer = caller.post('/openai/v1/chat/completions',
                         {'model': caller.model(), 'messages': [question(caller)]})
    need(answer.json()['usage']['total_tokens'] > 0, 'chat: no usage')


def chat_stream(caller):
    """A stream that does not ask for its usage must not see that assay did."""
    answer = caller.post('/openai/v1/chat/completions',
                         {'model': caller.model(), 'messages': [question(caller)],
                          'stream': True}, x_demo='words=40;delay_ms=5')
    need(answer.body.endswith(b'data: [DONE]\n\n'), 'chat stream: no end')
    need(all(event['choices'] for event in answer.events()),
         'chat stream: the chunk with the usage was not hidden')


def chat_tool(caller):
    tool = {'type': 'function', 'function': {'name': 'weather', 'parameters': WEATHER}}
    answer = caller.post('/openai/v1/chat/completions',
                         {'model': caller.model(), 'tools': [tool],
                          'tool_choice': 'required', 'messages': [question(caller)]})
    need(answer.json()['choices'][0]['message']['tool_calls'], 'chat: no tool call')


def responses_stream(caller):
    answer = caller.post('/openai/v1/responses',
                         {'model': caller.model(), 'stream': True,
                          'instructions': AGENT_PROMPT, 'input': [question(caller)]},
                         x_demo='words=60;delay_ms=4')
    need(answer.events()[-1]['type'] == 'response.completed', 'responses: not completed')


def responses_tool(caller):
    tool = {'type': 'function', 'name': 'weather', 'parameters': WEATHER}
    answer = caller.post('/openai/v1/responses',
                         {'model': caller.model(), 'tools': [tool],
                          'tool_choice': 'required', 'input': [question(caller)]})
    need(answer.json()['output'][0]['type'] == 'function_call', 'responses: no tool call')


def embeddings(caller):
    answer = caller.post('/openai/v1/embeddings',
                         {'model': 'text-embedding-3-small',
                          'input': ['a page of the manual ' * 20, 'another page ' * 30]})
    need(len(answer.json()['data']) == 2, 'embeddings: not two vectors')


def openai_models(caller):
    need(caller.call('GET', '/openai/v1/models').json()['data'], 'no models')


# --- Anthropic ------------------------------------------------------------------------

def message_body(caller, **more):
    return {'model': caller.model(), 'max_tokens': 1024, 'messages': [question(caller)],
            **more}


def messages(caller):
    answer = caller.post('/anthropic/v1/messages', message_body(caller))
    need(answer.json()['content'][0]['text'], 'messages: no text')


def messages_stream(caller):
    """An agent's turn: most of its long prompt comes from the cache."""
    system = [{'type': 'text', 'text': AGENT_PROMPT,
               'cache_control': {'type': 'ephemeral'}}]
    turns = [question(caller), {'role': 'assistant', 'content': 'It counts.'},
             {'role': 'user', 'content': 'And then?'}]
    answer = caller.post('/anthropic/v1/messages?beta=true',
                         message_body(caller, stream=True, system=system, messages=turns),
                         x_demo='words=60;delay_ms=4')
    need(answer.events()[-1]['type'] == 'message_stop', 'messages stream: no end')


def messages_tool(caller):
    tool = {'name': 'weather', 'description': 'the weather', 'input_schema': WEATHER}
    answer = caller.post('/anthropic/v1/messages', message_body(
        caller, tools=[tool], tool_choice={'type': 'any'}, stream=True))
    need(b'"tool_use"' in answer.body, 'messages: no tool use')


def count_tokens(caller):
    answer = caller.post('/anthropic/v1/messages/count_tokens', message_body(caller))
    need(answer.json()['input_tokens'] > 0, 'count_tokens: no count')


# --- what goes wrong --------------------------------------------------------------------

def rate_limited(caller):
    answer = caller.post('/anthropic/v1/messages', message_body(caller), status=429,
                         x_demo='status=429;retry_after=1')
    need(answer.json()['error']['type'] == 'rate_limit_error', 'the error was changed')


def failed_and_retried(caller):
    body = {'model': caller.model(), 'messages': [question(caller)]}
    caller.post('/openai/v1/chat/completions', body, status=500, x_demo='flaky=1')
    caller.post('/openai/v1/chat/completions', body, x_demo='flaky=1',
                x_stainless_retry_count='1')


def aborted_stream(caller):
    """The client leaves in mid-stream; the provider goes on, and charges for it."""
    connection, response = caller.open(
        'POST', '/anthropic/v1/messages', message_body(caller, stream=True),
        x_demo='words=80;delay_ms=10')
    need(response.readline() and response.readline(), 'no stream to leave')
    response.close()
    connection.close()


def cut_stream(caller):
    """The provider breaks off: its usage never comes, so assay has to estimate."""
    connection, response = caller.open(
        'POST', '/openai/v1/chat/completions',
        {'model': caller.model(), 'messages': [question(caller)], 'stream': True},
        x_demo='words=50;abort_after=20')
    try:
        response.read()
    except (http.client.HTTPException, ConnectionError):
        return
    finally:
        connection.close()
    raise Wrong('cut stream: it looked complete to the client')


def unpriced_model(caller):
    caller.post('/openai/v1/chat/completions',
                {'model': 'a-model-without-a-price', 'messages': [question(caller)]})


def unknown_path(caller):
    answer = caller.post('/openai/v1/images/edits', {'model': 'x'}, status=404)
    need(answer.json()['error']['message'], 'the refusal is not in the shape of OpenAI')


def wrong_key(caller):
    stranger = Caller(caller.address, 'assay_' + '0' * 32, caller.fields, caller.models,
                      caller.note)
    answer = stranger.post('/anthropic/v1/messages', message_body(caller), status=401)
    need(answer.json()['error']['type'] == 'authentication_error',
         'the refusal is not in the shape of Anthropic')
