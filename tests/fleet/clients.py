"""Client programs as they look on the wire: conversations that are sent again at every call,
tools, subagents, retries, titles, compaction. Each call goes into the plan with what is true
of it."""

import json
import random

import answers
import texts

LONG = 60  # messages, beyond which a conversation is compacted
TASK = 'Look through every module that has to do with %s and report what you find about %s, '\
       'with the names of the files and the lines that matter, in the order of their weight.'


class Plan:
    """Calls in the order of their beginnings; no two in the same millisecond."""

    def __init__(self):
        self.calls = []
        self.taken = set()

    def add(self, truth, ts, end, request, answer, status='200'):
        begin = int(ts * 1000)
        while begin in self.taken:
            begin += 1
        self.taken.add(begin)
        self.calls.append({'ts': begin, 'end': max(begin + 1, int(end * 1000)),
                           'request': request, 'answer': answer, 'status': status,
                           'truth': {**truth, 'ts': begin}})
        return begin


class Dialect:
    """How a conversation of (role, text or tool) is written down."""

    def __init__(self, path, fields):
        self.path, self.fields = path, fields


def anthropic_body(system, messages, tools, limit):
    def content(message):
        role, what, value = message
        if what == 'call':
            return [{'type': 'tool_use', 'id': value[0], 'name': value[1], 'input': value[2]}]
        if what == 'result':
            return [{'type': 'tool_result', 'tool_use_id': value[0], 'content': value[1]}]
        return value if role == 'assistant' else [{'type': 'text', 'text': text} for text in value]

    return {'model': 'claude-sonnet-4-5', 'max_tokens': limit, 'stream': True, 'messages': [
        {'role': 'assistant' if m[0] == 'assistant' else 'user', 'content': content(m)}
        for m in messages], 'system': [{'type': 'text', 'text': text} for text in system],
            'tools': [{'name': name, 'input_schema': {}} for name in tools]}


def responses_body(system, messages, tools, limit):
    def item(message):
        role, what, value = message
        if what == 'call':
            return {'type': 'function_call', 'call_id': value[0], 'name': value[1],
                    'arguments': json.dumps(value[2])}
        if what == 'result':
            return {'type': 'function_call_output', 'call_id': value[0], 'output': value[1]}
        kind = 'output_text' if role == 'assistant' else 'input_text'
        value = [value] if isinstance(value, str) else value
        return {'type': 'message', 'role': role,
                'content': [{'type': kind, 'text': text} for text in value]}

    return {'model': 'gpt-5-codex', 'instructions': '\n'.join(system), 'stream': True,
            'input': [item(m) for m in messages], 'store': False, 'max_output_tokens': limit,
            'tools': [{'type': 'function', 'name': name} for name in tools]}


def chat_body(system, messages, tools, limit):
    def message(m):
        role, what, value = m
        if what == 'call':
            return {'role': 'assistant', 'content': None, 'tool_calls': [
                {'id': value[0], 'type': 'function', 'function': {
                    'name': value[1], 'arguments': json.dumps(value[2])}}]}
        if what == 'result':
            return {'role': 'tool', 'tool_call_id': value[0], 'content': value[1]}
        return {'role': role, 'content': value if isinstance(value, str) else '\n'.join(value)}

    return {'model': 'gpt-5', 'stream': True, 'stream_options': {'include_usage': True},
            'max_tokens': limit,
            'messages': [{'role': 'system', 'content': '\n'.join(system)},
                         *map(message, messages)],
            'tools': [{'type': 'function', 'function': {'name': name}} for name in tools]}


def gemini_body(system, messages, tools, limit):
    def part(m):
        _, what, value = m
        if what == 'call':
            return [{'functionCall': {'name': value[1], 'args': value[2]}}]
        if what == 'result':
            return [{'functionResponse': {'name': 'tool', 'response': {'output': value[1]}}}]
        return [{'text': text} for text in ([value] if isinstance(value, str) else value)]

    return {'contents': [{'parts': part(m), 'role': 'model' if m[0] == 'assistant' else 'user'}
                         for m in messages],
            'systemInstruction': {'parts': [{'text': text} for text in system]},
            'generationConfig': {'maxOutputTokens': limit},
            'tools': [{'functionDeclarations': [{'name': name} for name in tools]}]}


BODIES = {'anthropic': ('/anthropic/v1/messages', anthropic_body),
          'responses': ('/openai/v1/responses', responses_body),
          'chat': ('/openai/v1/chat/completions', chat_body),
          'gemini': ('/gemini/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse',
                     gemini_body)}
REFUSED = {'anthropic': (529, {'type': 'error', 'error': {'type': 'overloaded_error',
                                                          'message': 'Overloaded'}}),
           'responses': (429, {'error': {'message': 'Slow down', 'type': 'tokens'}}),
           'chat': (429, {'error': {'message': 'Slow down', 'type': 'tokens'}}),
           'gemini': (503, {'error': {'code': 503, 'status': 'UNAVAILABLE',
                                      'message': 'Overloaded'}})}


def http(status, kind, body):
    return ('HTTP/1.1 %d Answer\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s' % (
        status, kind, len(body), body)).encode()


class Conversation:
    def __init__(self, name, system):
        self.name, self.system = name, system
        self.messages = []
        self.pending = None  # the tool call that waits for its result
        self.begun = False


class Client:
    """A program of one identity that speaks one dialect."""

    agent = 'api'
    system = ['You are a helpful assistant.']
    tools = []
    titles = None   # the system prompt of calls that name a conversation
    probes = False
    subagents = 0   # a share of tool calls
    retries = 0     # a share of turns
    summary = None  # the client's own words that ask for a summary, and that begin anew

    def __init__(self, plan, identity, key, dialect, facts, seed):
        self.plan, self.identity, self.key, self.dialect = plan, identity, key, dialect
        self.facts = facts
        self.rng = random.Random('%s %s' % (seed, identity))
        self.conversations = {}
        self.number = 0

    # ---- for subclasses -------------------------------------------------------------

    def fields(self, conversation, agent):
        return {'user-agent': 'python-httpx/0.27'}

    def claim(self, conversation, body):
        pass

    def opening(self):
        """Messages of the client's own in front of a conversation."""
        return []

    def around(self, text):
        """The texts of a user message: the person's, and the client's own."""
        return [text]

    # ---- the wire -------------------------------------------------------------------

    def request(self, conversation, body, path=None, agent=None):
        self.claim(conversation, body)
        text = json.dumps(body, separators=(',', ':'), ensure_ascii=self.number % 2 == 0).encode()
        lines = {'host': 'assay', 'x-assay-key': self.key, 'content-type': 'application/json',
                 'content-length': str(len(text)), 'connection': 'close',
                 **self.fields(conversation, agent)}
        head = 'POST %s HTTP/1.1\r\n%s\r\n' % (path or BODIES[self.dialect][0], ''.join(
            '%s: %s\r\n' % line for line in lines.items()))
        return head.encode() + text

    def body(self, system, messages, tools=(), limit=8192):
        return BODIES[self.dialect][1](system, messages, tools, limit)

    def answer(self, text=None, tool=None):
        self.number += 1
        reply = {'id': 'id-%s-%d' % (self.identity, self.number), 'model': 'm', 'tool': tool,
                 'text': text, 'input': self.rng.randint(2000, 40000),
                 'output': self.rng.randint(50, 900)}
        return reply, http(200, 'text/event-stream', answers.STREAMS[self.dialect](reply))

    def send(self, kind, ts, end, request, answer, status='200', **truth):
        return self.plan.add({'identity': self.identity, 'kind': kind, **self.facts, **truth},
                             ts, end, request, answer, status)

    # ---- calls ----------------------------------------------------------------------

    def converse(self, conversation, kind, ts, end, tool=None, reply=None, agent=None, **truth):
        """Sends the conversation as it stands, and adds what comes back."""
        request = self.request(conversation, self.body(
            conversation.system, conversation.messages, self.tools), agent=agent)
        text = None if tool else reply or texts.answer(self.rng)
        answer, wire = self.answer(text, tool)
        self.send(kind, ts, end, request, wire, **truth)
        if tool:
            conversation.pending = answer['id']
            conversation.messages.append(('assistant', 'call', (answer['id'], *tool)))
        else:
            conversation.pending = None
            conversation.messages.append(('assistant', 'text', text))

    def refused(self, conversation, ts, **truth):
        """The provider is overloaded; the client will try again."""
        status, body = REFUSED[self.dialect]
        request = self.request(conversation, self.body(
            conversation.system, conversation.messages, self.tools))
        self.send('turn', ts, ts + .2, request, http(status, 'application/json', json.dumps(body)),
                  str(status), **truth)

    def side_call(self, conversation, ts, system, texts_said, limit=512):
        body = self.body([system], [('user', 'text', texts_said)], limit=limit)
        _, wire = self.answer(texts.prose(self.rng, 30))
        self.send('cont', ts, ts + .8, self.request(conversation, body), wire, harness=True)

    def conversation(self, name):
        if name not in self.conversations:
            conversation = Conversation('%s-%s' % (self.identity, name), list(self.system))
            conversation.messages = self.opening()
            self.conversations[name] = conversation
        return self.conversations[name]

    def turn(self, name, ts, end, text, goes_on=False, retry=False, reply=None):
        """A person, or what poses as one, says something; `goes_on`: tools will be used."""
        conversation = self.conversation(name)
        if conversation.pending:
            self.result(conversation)
        if len(conversation.messages) > LONG and self.summary:
            self.compact(conversation, ts - .9)
        opens = not conversation.begun
        conversation.begun = True
        if opens and self.probes:
            self.side_call(conversation, ts - .5, 'You are a probe.', ['quota'], limit=1)
        again = retry
        if not retry or not self.again(conversation):
            conversation.messages.append(('user', 'text', self.around(text)))
        if self.rng.random() < self.retries and not retry:
            self.refused(conversation, ts, said=text)
            ts, retry = ts + .6, True
        self.converse(conversation, 'turn', ts, max(end, ts + .3), self.next_tool(goes_on),
                      reply, retry=retry, said=text, again=again)
        if opens and self.titles:
            self.side_call(conversation, ts + .1, self.titles, [text])

    @staticmethod
    def again(conversation):
        """Takes back what was answered to the last prompt."""
        messages = conversation.messages
        while messages and (messages[-1][0] == 'assistant' or messages[-1][1] == 'result'):
            messages.pop()
        return bool(messages)

    def next_tool(self, goes_on):
        if not goes_on or not self.tools:
            return None
        return (self.tools[0], {'path': 'src/%s.c' % self.rng.choice(texts.VOCABULARY),
                                'line': self.rng.randint(1, 900)})

    def result(self, conversation):
        conversation.messages.append(('tool', 'result', (
            conversation.pending, texts.prose(self.rng, self.rng.randint(20, 200)))))
        conversation.pending = None

    def go_on(self, name, ts, end, more):
        """A tool's result goes back; `more`: another tool will be used."""
        conversation = self.conversation(name)
        if not conversation.pending:
            return
        self.result(conversation)
        if more and self.rng.random() < self.subagents:
            self.delegate(conversation, ts, end)
        else:
            self.converse(conversation, 'cont', ts, end, self.next_tool(more))

    def delegate(self, conversation, ts, end):
        """The model gives a task to a subagent, which reads twice and reports."""
        task = TASK % (texts.prose(self.rng, 60), texts.prose(self.rng, 60))
        self.converse(conversation, 'cont', ts, end, ('Task', {'name': 'look', 'prompt': task}))
        name = '%s-sub-%d' % (conversation.name, self.number)
        child = Conversation(name, ['You are a subagent. Report what you find.'])
        child.parent = conversation
        child.messages.append(('user', 'text', [task]))
        self.converse(child, 'sub', end + .05, end + .3, self.next_tool(True), agent=name)
        self.result(child)
        self.converse(child, 'sub', end + .35, end + .6, agent=name)

    def compact(self, conversation, ts):
        asks, begins = self.summary
        conversation.messages.append(('user', 'text', [asks]))
        self.converse(conversation, 'cont', ts, ts + .5, harness=True)
        last = conversation.messages[-1][2]
        conversation.messages = [*self.opening(), ('user', 'text', ['%s %s' % (begins, last)]),
                                 ('assistant', 'text', 'Understood.')]


class ClaudeCode(Client):
    agent = 'claude-code'
    system = ['x-anthropic-billing-header: cc_version=2.1', "You are Claude Code, Anthropic's "
              'official CLI for Claude.', 'You help with software engineering tasks.']
    tools = ['Read', 'Task']
    titles = 'Summarize this coding conversation in under 50 characters.'
    probes = True
    subagents = .04
    retries = .03
    summary = ('Your task is to create a detailed summary of the conversation so far.',
               'This session is being continued from a previous conversation.')

    def fields(self, conversation, agent):
        self.system[0] = 'x-anthropic-billing-header: cch=%d' % self.number
        lines = {'user-agent': 'claude-cli/2.1.0 (external, cli)', 'x-app': 'cli',
                 'anthropic-version': '2023-06-01',
                 'x-claude-code-session-id': self.session_of(conversation)}
        return {**lines, 'x-claude-code-agent-id': agent} if agent else lines

    @staticmethod
    def session_of(conversation):
        return getattr(conversation, 'parent', conversation).name

    def claim(self, conversation, body):
        body['metadata'] = {'user_id': 'user_0_account__session_%s' % self.session_of(conversation)}

    def around(self, text):
        return ['<system-reminder>\nThe date is today.\n</system-reminder>', text]


class Codex(Client):
    agent = 'codex'
    system = ['You are Codex, a coding agent.']
    tools = ['shell', 'spawn']
    subagents = .04
    retries = .03
    summary = ('You are performing a CONTEXT CHECKPOINT COMPACTION. Create a handoff summary.',
               'Another language model started to solve this problem.')

    def fields(self, conversation, agent):
        lines = {'user-agent': 'codex_cli_rs/0.50.0', 'originator': 'codex_cli_rs',
                 'session-id': conversation.name}
        return {**lines, 'x-openai-subagent': 'collab_spawn'} if agent else lines

    def claim(self, conversation, body):
        body['prompt_cache_key'] = conversation.name

    def opening(self):
        return [('developer', 'text', ['<permissions instructions>none</permissions>']),
                ('user', 'text', ['# AGENTS.md instructions\nBe brief.']),
                ('user', 'text', ['<environment_context>\n<cwd>/work</cwd>'])]


class GeminiCli(Client):
    agent = 'gemini-cli'
    system = ['You are an interactive CLI agent.']
    tools = ['read_file', 'task']
    subagents = .04
    retries = .03
    summary = ('First, reason in your scratchpad. Then, generate the <state_snapshot>.',
               '<session_context>')

    def fields(self, conversation, agent):
        return {'user-agent': 'GeminiCLI/0.9.0/gemini-2.5-pro (linux; x64)'}

    def opening(self):
        return [('user', 'text', ['This is the Gemini CLI. We are setting up the context for our '
                                  'chat. Session %d.' % self.number]),
                ('assistant', 'text', 'Got it.')]


class Chat(Client):
    """A chat that keeps no name of its conversations, with a tool or two."""

    tools = ['search', 'task']
    retries = .03
    titles = 'You are a title generator. You output only a title.'

    def fields(self, conversation, agent):
        return {'user-agent': 'OpenAI/JS 6.1.0'}


AGENTS = {'anthropic': ClaudeCode, 'responses': Codex, 'chat': Chat, 'gemini': GeminiCli}


class Script(Client):
    """A plain program: a system prompt and what it asks."""


class Agent(Script):
    """A program that drives an agent with tools."""

    system = ['You are an agent.']
    tools = ['run']
