"""The client programs: how each is told of the proxy, what it is asked to do, and what the
ledger has to say of it."""

import dataclasses
import datetime
import json
import os
import subprocess
from typing import Callable, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
SECONDS = 300
REFUSALS_MAX = 3  # requests that a program may send to be told the same
SAID = 'forty two'
PROOF = 'proof.txt'
CODEX_CONFIG = '''\
model = "gpt-5"
model_provider = "assay"
[model_providers.assay]
name = "assay"
base_url = "%s/openai/v1"
env_key = "ASSAY_KEY"
wire_api = "responses"
supports_websockets = %s
[analytics]
enabled = false
'''
# Without a choice here, a base URL means a kind of login that -p does not know.
GEMINI_SETTINGS = {'security': {'auth': {'selectedType': 'gemini-api-key'}},
                   'general': {'enableAutoUpdate': False},
                   'privacy': {'usageStatisticsEnabled': False}}


@dataclasses.dataclass
class Check:
    """One thing a program did. `ledger` looks at all records and returns complaints."""

    name: str
    failure: Optional[str] = None
    calls: list = dataclasses.field(default_factory=list)
    ledger: Optional[Callable] = None


class Setting:
    """Where a program runs."""

    def __init__(self, assay, folder, modules):
        self.url = 'http://127.0.0.1:%d' % assay.port
        self.key = assay.key
        self.home = os.path.join(folder, 'home')
        self.work = os.path.join(folder, 'work')
        self.modules = modules

    def run(self, command, **environment):
        """(exit status, output, messages) of a command with an environment of its own."""
        done = subprocess.run(
            command, cwd=self.work, timeout=SECONDS, check=False, text=True,
            stdin=subprocess.DEVNULL, capture_output=True,
            env={'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': self.home,
                 'NO_COLOR': '1', **environment})
        return done.returncode, done.stdout, done.stderr

    def tool(self, name):
        return os.path.join(self.modules, 'node_modules', '.bin', name)

    def proof(self):
        try:
            with open(os.path.join(self.work, PROOF), encoding='utf-8') as file:
                return file.read()
        except OSError:
            return ''


def sdk(setting, script, ledgers, **environment):
    """Run an SDK script; its module lookup starts beside the installed packages."""
    folder = os.path.join(setting.modules, 'scripts')
    os.makedirs(folder, exist_ok=True)
    for name in ('call.mjs', script):
        with open(os.path.join(HERE, name), encoding='utf-8') as source, \
                open(os.path.join(folder, name), 'w', encoding='utf-8') as copy:
            copy.write(source.read())
    status, output, messages = setting.run(['node', os.path.join(folder, script)],
                                           **environment)
    checks = []
    for line in output.splitlines():
        row = json.loads(line)
        checks.append(Check(row['check'], row['failure'], row['calls'],
                            ledgers.get(row['check'])))
    if status != 0:
        checks.append(Check(script, 'exit status %d: %s' % (status, messages[-500:])))
    missing = set(ledgers) - {check.name for check in checks}
    return checks + [Check(name, 'was not run') for name in missing]


def some(**wanted):
    """A complaint unless a record has all of these members."""
    def look(records):
        if any(all(record.get(name) == value for name, value in wanted.items())
               for record in records):
            return []
        seen = [{name: record.get(name) for name in wanted} for record in records]
        return ['no record with %s among %s' % (wanted, seen)]
    return look


def every(**wanted):
    """A complaint for each record that differs in one of these members, or if there is none."""
    def look(records):
        differing = [record for record in records
                     if any(record[name] != value for name, value in wanted.items())]
        return ['%s: %s' % (record['id'], {name: record[name] for name in wanted})
                for record in differing] or ([] if records else ['no records'])
    return look


def all_of(*looks):
    """What any of them complains of."""
    return lambda records: [complaint for look in looks for complaint in look(records)]


def every_of(dialect, **wanted):
    """The same of the records of one dialect."""
    look = every(**wanted)
    return lambda records: look([record for record in records
                                 if record['dialect'] == dialect])


def openai_sdk(setting):
    ledgers = {
        'error of the provider': some(status=429, outcome='complete', usage_source='none'),
        'a retry that succeeds': some(retry=1, outcome='complete', usage_source='reported'),
        'an abort in mid-stream': some(outcome='client_abort', drained=True,
                                       usage_source='reported'),
        'a stream that the provider cuts': some(outcome='upstream_cut',
                                                usage_source='estimated'),
        'refusal by a quota': few_refusals(1, 'openai.chat'),
        'embeddings': some(dialect='openai.embeddings', usage_source='reported'),
        'models': some(dialect='openai.models', free=True),
    }
    return sdk(setting, 'openai_sdk.mjs', ledgers, OPENAI_BASE_URL=setting.url + '/openai/v1',
               OPENAI_API_KEY=setting.key)


def openai_websockets(setting):
    ledgers = {
        'responses, several lanes': some(dialect='openai.responses', operation='chat'),
        'a quota that is used up': some(outcome='refused', status=429, fault='quota_exceeded'),
        'an error of the provider': some(status=429, outcome='complete',
                                         usage_source='none'),
        'realtime': some(dialect='openai.realtime', request_model='gpt-4o-transcribe'),
    }
    return sdk(setting, 'openai_websockets.mjs', ledgers, OPENAI_API_KEY=setting.key,
               OPENAI_BASE_URL=setting.url + '/openai/v1',
               SECURE_BASE_URL=setting.secure_url + '/openai/v1',
               NODE_EXTRA_CA_CERTS=setting.ca)


def anthropic_sdk(setting):
    ledgers = {
        'error of the provider': some(status=429, outcome='complete', usage_source='none'),
        'a retry that succeeds': some(retry=1, outcome='complete', usage_source='reported'),
        'an abort in mid-stream': some(outcome='client_abort', drained=True,
                                       usage_source='reported'),
        'count_tokens': some(dialect='anthropic.count_tokens', free=True),
        'refusal by a quota': few_refusals(1, 'anthropic.messages'),
    }
    return sdk(setting, 'anthropic_sdk.mjs', ledgers,
               ANTHROPIC_BASE_URL=setting.url + '/anthropic', ANTHROPIC_API_KEY=setting.key)


def google_genai(setting):
    return sdk(setting, 'google_genai.mjs', {
        'generateContent': every_of('gemini.generate', tool='google-genai'),
        'countTokens': some(operation='count_tokens', free=True),
        'embedContent': some(dialect='gemini.embed', usage_source='reported'),
        'error of the provider': some(status=429, outcome='complete', usage_source='none'),
        'refusal by a quota': some(outcome='refused', fault='quota_exceeded', status=429),
    }, GOOGLE_GEMINI_BASE_URL=setting.url + '/gemini', GEMINI_API_KEY=setting.key,
        VERTEX_URL=setting.url + '/vertex')


def bedrock_sdk(setting):
    return sdk(setting, 'bedrock_sdk.mjs', {
        'ConverseStream': some(dialect='bedrock.converse', stream=True,
                               usage_source='reported'),
        'InvokeModelWithResponseStream': some(dialect='bedrock.invoke', stream=True,
                                              usage_source='reported'),
        'an error within a stream': some(dialect='bedrock.converse', stream=True,
                                         usage_source='estimated'),
        'refusal by a quota': some(outcome='refused', fault='quota_exceeded', status=400),
    }, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=setting.url + '/bedrock',
        AWS_BEARER_TOKEN_BEDROCK=setting.key, ASSAY_KEY=setting.key,
        AWS_EC2_METADATA_DISABLED='true')


def cohere_sdk(setting):
    return sdk(setting, 'cohere_sdk.mjs', {
        'chatStream': some(dialect='cohere.chat', stream=True, usage_source='reported'),
        'refusal by a quota': all_of(
            some(outcome='refused', fault='quota_exceeded', status=402),
            few_refusals(1, 'cohere.chat')),
    }, COHERE_URL=setting.url + '/cohere', ASSAY_KEY=setting.key)


def mistral_sdk(setting):
    return sdk(setting, 'mistral_sdk.mjs', {
        'chat stream': some(dialect='mistral.chat', stream=True, usage_source='reported'),
    }, MISTRAL_URL=setting.url + '/mistral', ASSAY_KEY=setting.key)


def groq_sdk(setting):
    return sdk(setting, 'groq_sdk.mjs', {
        'chat stream': some(dialect='openai.chat', provider='groq', stream=True,
                            usage_source='reported'),
        'refusal by a quota': few_refusals(1, 'openai.chat'),
    }, GROQ_BASE_URL=setting.url + '/groq', GROQ_API_KEY=setting.key)


def ollama_sdk(setting):
    return sdk(setting, 'ollama_sdk.mjs', {
        'chat stream': some(dialect='ollama.chat', stream=True, usage_source='reported'),
        'list': some(dialect='ollama.models', free=True),
    }, OLLAMA_URL=setting.url + '/ollama', ASSAY_KEY=setting.key)


def vercel_ai(setting):
    return sdk(setting, 'vercel_ai.mjs', {
        'OpenAI responses': some(dialect='openai.responses', stream=True,
                                 usage_source='reported'),
    }, ASSAY_URL=setting.url, ASSAY_KEY=setting.key)


def gemini_cli(setting):
    os.makedirs(os.path.join(setting.home, '.gemini'))
    with open(os.path.join(setting.home, '.gemini', 'settings.json'), 'w',
              encoding='utf-8') as file:
        json.dump(GEMINI_SETTINGS, file)

    def ask(prompt, *more):
        return setting.run(
            [setting.tool('gemini'), '-p', prompt, '--output-format', 'json', '-m',
             'gemini-2.5-pro', *more],
            GOOGLE_GEMINI_BASE_URL=setting.url + '/gemini', GEMINI_API_KEY=setting.key,
            GEMINI_TELEMETRY_ENABLED='false', GEMINI_CLI_TRUST_WORKSPACE='true')

    status, output, messages = ask('say exactly: ' + SAID)
    answer = json.loads(output) if status == 0 else {}
    checks = [
        Check('answers', None if answer.get('response') == SAID else output + messages),
        Check('the tool is recorded', ledger=every(tool='gemini-cli', tool_version='0.61.0'))]
    command = json.dumps({'command': 'echo it ran > ' + PROOF, 'description': 'prove it'})
    status, output, messages = ask('call the tool run_shell_command with ' + command,
                                   '--yolo')
    worked = status == 0 and 'it ran' in setting.proof()
    checks.append(Check('runs a tool', None if worked else output + messages))
    return checks


def few_refusals(most, dialect):
    """A complaint unless quotas refused one request of this dialect, or up to so many."""
    def look(records):
        count = sum(record['fault'] == 'quota_exceeded' and record['dialect'] == dialect
                    for record in records)
        return [] if 1 <= count <= most else ['%d requests were refused' % count]
    return look


def stops(status, told, words, dialect):
    """A program whose quota is spent ends with a failure, says why, and asks but a few
    times."""
    failure = None
    if status == 0:
        failure = 'it ended as if nothing was wrong: ' + told
    elif words not in told:
        failure = 'it does not tell why: ' + told
    return Check('stops when a quota is spent', failure,
                 ledger=few_refusals(REFUSALS_MAX, dialect))


def claude_code(setting):
    def ask(prompt, *more, model='claude-sonnet-4-5'):
        return setting.run(
            [setting.tool('claude'), '-p', prompt, '--output-format', 'json', '--model',
             model, *more],
            ANTHROPIC_BASE_URL=setting.url + '/anthropic', ANTHROPIC_AUTH_TOKEN=setting.key,
            CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC='1', DISABLE_TELEMETRY='1',
            DISABLE_ERROR_REPORTING='1', DISABLE_AUTOUPDATER='1', IS_SANDBOX='1')

    status, output, messages = ask('say exactly: ' + SAID)
    answer = json.loads(output) if status == 0 else {}
    checks = [
        Check('answers', None if answer.get('result') == SAID else output + messages),
        Check('tool, mode and session are recorded',
              ledger=every(tool='claude-code', mode='headless')),
        Check('the session is recorded', ledger=some(session=answer.get('session_id')))]
    command = json.dumps({'command': 'echo it ran > ' + PROOF, 'description': 'prove it'})
    status, output, messages = ask('call the tool Bash with ' + command,
                                   '--allowedTools', 'Bash')
    worked = status == 0 and 'it ran' in setting.proof()
    checks.append(Check('runs a tool', None if worked else output + messages))
    status, output, messages = ask('say anything', model='claude-spent')
    checks.append(stops(status, output + messages, "quota 'spent' has too little left",
                        'anthropic.messages'))
    return checks


def codex(setting):
    return run_codex(setting, False)


def codex_websocket(setting):
    return run_codex(setting, True)


def run_codex(setting, websockets):
    os.makedirs(os.path.join(setting.home, '.codex'))
    with open(os.path.join(setting.home, '.codex', 'config.toml'), 'w',
              encoding='utf-8') as file:
        file.write(CODEX_CONFIG % (setting.url, 'true' if websockets else 'false'))

    def ask(prompt, *more):
        return setting.run(
            [setting.tool('codex'), 'exec', '--json', '--skip-git-repo-check', '--sandbox',
             'danger-full-access', *more, prompt], ASSAY_KEY=setting.key)

    status, output, messages = ask('say exactly: ' + SAID)
    events = [json.loads(line) for line in output.splitlines() if line.startswith('{')]
    thread = next((event['thread_id'] for event in events if 'thread_id' in event), None)
    answered = status == 0 and any(
        event.get('item', {}).get('text') == SAID for event in events)
    checks = [
        Check('answers', None if answered else output + messages),
        Check('tool and mode are recorded', ledger=every(tool='codex', mode='headless')),
        Check('the session is recorded', ledger=some(session=thread))]
    command = json.dumps({'cmd': 'echo it ran > ' + PROOF})
    status, output, messages = ask('call the tool exec_command with ' + command)
    worked = status == 0 and 'it ran' in setting.proof()
    checks.append(Check('runs a tool', None if worked else output + messages))
    status, output, messages = ask('say anything', '-m', 'gpt-spent')
    checks.append(stops(status, output + messages, 'Quota exceeded', 'openai.responses'))
    if websockets:
        checks.append(Check('all of it went by WebSocket', ledger=only_by_websocket))
    return checks


def only_by_websocket(records):
    """A complaint for each response that no connection was open for from its first to its
    last moment."""
    def span(record):
        begin = datetime.datetime.fromisoformat(record['time'].replace('Z', '+00:00'))
        return begin, begin + datetime.timedelta(milliseconds=record['duration_ms'])

    slack = datetime.timedelta(milliseconds=2)  # times are in whole milliseconds
    connections = [span(one) for one in records
                   if one['operation'] == 'connect' and one['status'] == 101]
    return ['%s: not by WebSocket' % one['id'] for one in records
            if one['operation'] == 'chat' and not any(
                begin <= span(one)[0] + slack and span(one)[1] <= end + slack
                for begin, end in connections)]


PROGRAMS = {'openai-sdk': openai_sdk, 'openai-websockets': openai_websockets, 'anthropic-sdk': anthropic_sdk,
            'google-genai': google_genai, 'bedrock-sdk': bedrock_sdk,
            'cohere-sdk': cohere_sdk, 'mistral-sdk': mistral_sdk, 'groq-sdk': groq_sdk,
            'ollama-sdk': ollama_sdk, 'vercel-ai': vercel_ai, 'claude-code': claude_code,
            'codex': codex, 'codex-websocket': codex_websocket, 'gemini-cli': gemini_cli}
