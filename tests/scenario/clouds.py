"""Credentials that clouds hand out, in front of a provider that verifies them as the cloud
would: AWS keys from every place (signed requests), Google's access tokens."""

import asyncio
import base64
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import http1
import sigv4
from dev_certs import DevCerts, openssl
from proxy import PATIENCE, Assay

REGION = 'eu-west-1'
PATH = '/bedrock/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Feu.x-v1%3A0/'
ANSWER = {'usage': {'inputTokens': 3, 'outputTokens': 2, 'totalTokens': 5}}
ROLE = 'the-role'
ends = []   # exit status and log of each assay


class Cloud:
    """A provider and the services around it on one loopback port: AWS's and Google's metadata
    services, a container's credential service, Google's token service."""

    def __init__(self, tls=None):
        self.keys = {}         # access key id -> (secret, session token or None)
        self.handed_out = []   # what the next renewals get: (key id, seconds to live)
        self.tokens = []       # access tokens, the newest last
        self.token_seconds = 3600
        self.down = False
        self.asked = []
        self.requests = []
        self.refusals = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.port = self.wait(http1.Server(self.provider).start()).port
        self.services_port = self.wait(http1.Server(self.services, tls).start()).port

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def hand_out(self, number, seconds=3600):
        key_id = 'ASIAROLE%d' % number
        self.keys[key_id] = ('secret/%d+' % number, 'session==%d' % number)
        self.handed_out.append((key_id, seconds))

    async def provider(self, request, reply):
        if 'converse' in request.path or 'invoke' in request.path:
            wrong = sigv4.objection(request, self.keys, REGION)
        else:
            bearer = request.field('authorization')
            wrong = None if bearer == 'Bearer ' + (self.tokens or [''])[-1] else bearer
        self.requests.append(request)
        if wrong:
            self.refusals.append(wrong)
        await reply.whole(403 if wrong else 200, [('content-type', 'application/json')],
                          json.dumps({'message': wrong} if wrong else ANSWER).encode())

    def key_document(self):
        key_id, seconds = self.handed_out[0]
        if len(self.handed_out) > 1:
            self.handed_out.pop(0)
        secret, session = self.keys[key_id]
        return {'Code': 'Success', 'AccessKeyId': key_id, 'SecretAccessKey': secret,
                'Token': session, 'Expiration': time.strftime(
                    '%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))}

    def token_document(self):
        self.tokens.append('ya29.token-%d' % (len(self.tokens) + 1))
        return {'access_token': self.tokens[-1], 'expires_in': self.token_seconds,
                'token_type': 'Bearer'}

    def service(self, request):
        """(status, body) of a service around the provider."""
        roles = '/latest/meta-data/iam/security-credentials/'
        if self.down:
            return 500, 'out of order'
        if request.path == '/latest/api/token':
            seconds = request.field('x-aws-ec2-metadata-token-ttl-seconds')
            return (200, 'a-session') if request.method == 'PUT' and seconds else (403, '')
        if request.path.startswith(roles):
            if request.field('x-aws-ec2-metadata-token') != 'a-session':
                return 401, ''
            return 200, ROLE if request.path == roles else json.dumps(self.key_document())
        if request.path == '/container':
            fine = request.field('authorization') == 'container-secret'
            return (200, json.dumps(self.key_document())) if fine else (403, '')
        if request.path.startswith('/computeMetadata/') and \
                request.field('metadata-flavor') == 'Google':
            return 200, json.dumps(self.token_document())
        if request.path == '/token':
            return 200, json.dumps(self.token_document())
        return 404, ''

    async def services(self, request, reply):
        self.asked.append(request)
        status, body = self.service(request)
        await reply.whole(status, [('content-type', 'application/json')], body.encode())


class House:
    """An assay whose provider is the cloud's; `environment` is its own."""

    def __init__(self, cloud, provider, **environment):
        url = 'http://127.0.0.1:%d' % cloud.port
        self.assay = Assay({'bedrock': {'url': url, 'dialects': ['bedrock', 'gemini'],
                                        **provider}})
        self.assay.variables = {'HOME': '/nonexistent', **environment}

    def __enter__(self):
        return self.assay.__enter__()

    def __exit__(self, *failure):
        ends.append((self.assay.stop(), self.assay.log_tail()))
        self.assay.__exit__(*failure)


def call(assay, action='converse', fields=(), body=b'{"messages":[]}', credential=None):
    async def ask():
        client = http1.Client(assay.port)
        own = credential or ('authorization', 'Bearer ' + assay.key)
        framing = [] if any(name == 'transfer-encoding' for name, _ in fields) else [
            ('content-length', str(len(body)))]
        await client.send('POST', (PATH + action) if '/' not in action else action,
                          [('host', 'h'), own, *fields, *framing], body)
        response = await asyncio.wait_for(client.receive('POST'), PATIENCE)
        client.close()
        return response
    return asyncio.run(ask())


def signed_by_env(results):
    with Cloud() as cloud:
        cloud.keys['AKIDENV'] = ('wJalrXUtnFEMI/K7MDENG', 'the session token')
        with House(cloud, {'credential': 'aws', 'aws': {'region': REGION}},
                   AWS_ACCESS_KEY_ID='AKIDENV', AWS_SECRET_ACCESS_KEY='wJalrXUtnFEMI/K7MDENG',
                   AWS_SESSION_TOKEN='the session token') as assay:
            calls = {
                'a bearer': call(assay),
                'a query': call(assay, 'invoke?b=2&a=1%2B1&c'),
                'a chunked body': call(assay, fields=[('transfer-encoding', 'chunked')],
                                       body=b'5\r\n{"a":\r\n3\r\n 1}\r\n0\r\n\r\n'),
                'a large body': call(assay, body=b'{"a":"' + b'x' * 3000000 + b'"}'),
                "the SDK's own signature": call(
                    assay, credential=('x-assay-key', assay.key), fields=[
                        ('authorization', 'AWS4-HMAC-SHA256 Credential=AKIDOTHER/20260101/'
                         'us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00'),
                        ('x-amz-date', '20260101T000000Z'), ('x-amz-content-sha256', '00'),
                        ('x-amz-security-token', 'not this one')]),
                'a key as access key id': call(
                    assay, credential=('authorization', 'AWS4-HMAC-SHA256 Credential=%s/'
                                       '20260101/us-east-1/bedrock/aws4_request, '
                                       'SignedHeaders=host, Signature=00' % assay.key)),
            }
            for name, response in calls.items():
                results.ok(response.status == 200, 'signed with the key of the environment: '
                           + name, response.body, cloud.refusals)
            seen = [value for request in cloud.requests for _, value in request.fields]
            results.ok(not any(assay.key in value or 'not this one' in value for value in seen),
                       "neither the caller's key nor its session token reaches the provider")
            records = assay.export_all([response.field('assay-exchange-id')
                                        for response in calls.values()])
            results.ok([record['tokens']['input'] for record in records] == [3] * len(calls),
                       'signed calls are metered', records)


def signed_by_file(results):
    with Cloud() as cloud, tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'credentials')
        cloud.keys.update({'AKIDONE': ('one', None), 'AKIDTWO': ('two', None)})

        def write(name, secret, mode=0o600):
            with open(path, 'w', encoding='utf-8') as file:
                file.write('[default]\naws_access_key_id=AKIDNONE\n'
                           'aws_secret_access_key = none\n# a remark\n[profile ai]\n'
                           'aws_access_key_id = %s\r\naws_secret_access_key=%s\r\n' % (
                               name, secret))
            os.chmod(path, mode)

        write('AKIDONE', 'one')
        with House(cloud, {'credential': 'aws', 'aws': {
                'source': 'file', 'file': path, 'profile': 'ai', 'region': REGION}}) as assay:
            first = call(assay)
            results.ok(first.status == 200, 'signed with a profile of a file', first.body)
            write('AKIDTWO', 'two')
            del cloud.keys['AKIDONE']
            assay.send_signal(signal.SIGHUP)
            second = until(lambda: call(assay), lambda answer: answer.status == 200)
            results.ok(second.status == 200, 'the file is read again', second.body)
            write('AKIDTWO', 'two', 0o644)
            assay.send_signal(signal.SIGHUP)
            told = until(lambda: logged(assay, 'credential_failed'), bool)
            results.ok('open to group or others' in told and call(assay).status == 200,
                       'a file that others may read is refused, the last key kept', told)


def until(ask, fine, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if fine(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.2)


def logged(assay, event):
    """The log's lines of this event."""
    return ''.join(assay.logged(event))


def renewed_for_a_container(results):
    with Cloud() as cloud:
        cloud.hand_out(1, seconds=10)
        cloud.hand_out(2, seconds=12)
        with House(cloud, {'credential': 'aws', 'aws': {'region': REGION}},
                   AWS_CONTAINER_CREDENTIALS_FULL_URI='http://127.0.0.1:%d/container' %
                   cloud.services_port,
                   AWS_CONTAINER_AUTHORIZATION_TOKEN='container-secret') as assay:
            first = until(lambda: call(assay), lambda answer: answer.status == 200)
            results.ok(first.status == 200, "signed with a container's role", first.body)
            del cloud.keys['ASIAROLE1']
            second = until(lambda: call(assay), lambda answer: answer.status == 200)
            results.ok(second.status == 200, 'renewed before it expires', second.body)
            cloud.down = True
            told = until(lambda: logged(assay, 'credential_failed'), bool)
            results.ok('the last one is kept' in told and call(assay).status == 200,
                       'the last good key is kept while renewing fails', told)
            failing = [line for line in assay.admin('/metrics').splitlines() if 'credentials_failing' in line]
            results.ok('assay_credentials_failing 1' in failing, 'a metric tells of it',
                       failing)


def signed_by_instance(results):
    with Cloud() as cloud:
        cloud.hand_out(7)
        with House(cloud, {'credential': 'aws', 'aws': {
                'source': 'instance', 'region': REGION}},
                   AWS_EC2_METADATA_SERVICE_ENDPOINT='http://127.0.0.1:%d/' %
                   cloud.services_port) as assay:
            answer = until(lambda: call(assay), lambda answer: answer.status == 200)
            results.ok(answer.status == 200, "signed with an instance's role (IMDSv2)",
                       answer.body, logged(assay, 'credential_failed'))


def without_a_key(results):
    with Cloud() as cloud:
        with House(cloud, {'credential': 'aws', 'aws': {'source': 'env', 'region': REGION}}
                   ) as assay:
            answer = call(assay)
            results.ok(answer.status == 503 and answer.field('x-should-retry') == 'true' and
                       answer.field('x-amzn-errortype') == 'ServiceUnavailableException',
                       'no key: 503 in the shape of AWS', answer.status, answer.fields)
            told = until(lambda: logged(assay, 'credential_failed'), bool)
            results.ok('AWS_ACCESS_KEY_ID' in told, 'the log says why there is no key', told)
            results.ok(not cloud.requests, 'nothing reaches the provider')


def refused(results):
    with Cloud() as cloud, House(cloud, {}) as assay:
        stranger = ('authorization', 'Bearer assay_' + '0' * 32)
        stream = '/bedrock/v1beta/models/gemini-2.5-pro:streamGenerateContent'
        answer = call(assay, credential=stranger)
        results.ok(answer.status == 403 and
                   answer.field('x-amzn-errortype') == 'UnrecognizedClientException',
                   'a stranger at Bedrock: 403, which is not tried again', answer.fields)
        answers = [json.loads(call(assay, stream + query, credential=stranger).body)
                   for query in ('', '?alt=sse')]
        results.ok(answers[0][0] == answers[1] and
                   answers[1]['error']['status'] == 'UNAUTHENTICATED',
                   'a stream of Gemini that is an array is refused by an array', answers)


def write_account(folder, token_uri):
    """A service account's key file; (path, public key's path)."""
    key, public = os.path.join(folder, 'account.key'), os.path.join(folder, 'account.pub')
    openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', key)
    openssl('pkey', '-in', key, '-pubout', '-out', public)
    path = os.path.join(folder, 'account.json')
    with open(key, encoding='utf-8') as pem, open(path, 'w', encoding='utf-8') as file:
        json.dump({'type': 'service_account', 'client_email': 'meter@p.example',
                   'private_key_id': 'kid-1', 'private_key': pem.read(),
                   'token_uri': token_uri}, file)
    os.chmod(path, 0o600)
    return path, public


def unpadded(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


def judge_claim(results, request, folder, public, token_uri):
    """Is this what Google's token service accepts?"""
    form = dict(pair.split('=', 1) for pair in request.body.decode().split('&'))
    head, claim, signature = form['assertion'].split('.')
    signed, proof = os.path.join(folder, 'signed'), os.path.join(folder, 'proof')
    with open(signed, 'w', encoding='utf-8') as file:
        file.write(head + '.' + claim)
    with open(proof, 'wb') as file:
        file.write(unpadded(signature))
    done = subprocess.run(['openssl', 'dgst', '-sha256', '-verify', public, '-signature',
                           proof, signed], capture_output=True, check=False)
    head, claim = json.loads(unpadded(head)), json.loads(unpadded(claim))
    results.ok(done.returncode == 0 and head == {'alg': 'RS256', 'typ': 'JWT',
                                                 'kid': 'kid-1'},
               "a service account's claim is signed with its key", done.stdout, head)
    results.ok(claim['iss'] == 'meter@p.example' and claim['aud'] == token_uri and
               claim['exp'] - claim['iat'] == 3600 and
               claim['scope'] == 'https://www.googleapis.com/auth/cloud-platform' and
               form['grant_type'] == 'urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer',
               'the claim says who, for what and how long', claim)


VERTEX = '/bedrock/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:' \
    'generateContent'


def token_for_a_service_account(results):
    with tempfile.TemporaryDirectory() as folder:
        certs = DevCerts(folder)
        with Cloud(certs.server_context()) as cloud:
            uri = 'https://127.0.0.1:%d/token' % cloud.services_port
            account, public = write_account(folder, uri)
            google = {'credential': 'google', 'google': {'file': account}}
            cloud.token_seconds = 10
            with House(cloud, google, SSL_CERT_FILE=certs.ca) as assay:
                answer = until(lambda: call(assay, VERTEX),
                               lambda answer: answer.status == 200)
                results.ok(answer.status == 200, 'an access token for a service account',
                           answer.body, logged(assay, 'credential_failed'))
                judge_claim(results, cloud.asked[0], folder, public, uri)
                until(lambda: cloud.tokens, lambda tokens: len(tokens) > 1)
                answer = until(lambda: call(assay, VERTEX),
                               lambda answer: answer.status == 200)
                results.ok(answer.status == 200, 'renewed before it expires', answer.body)
            tokens = len(cloud.tokens)
            with House(cloud, google) as assay:
                answer = call(assay, VERTEX)
                told = until(lambda: logged(assay, 'credential_failed'), bool)
                results.ok(answer.status == 503 and 'certificate was refused' in told and
                           len(cloud.tokens) == tokens,
                           'no claim goes to a token service that cannot be verified',
                           answer.status, told)


def token_of_the_machine(results):
    with Cloud() as cloud:
        with House(cloud, {'credential': 'google'},
                   GCE_METADATA_HOST='127.0.0.1:%d' % cloud.services_port) as assay:
            answer = until(lambda: call(assay, VERTEX), lambda answer: answer.status == 200)
            results.ok(answer.status == 200, "an access token of the machine's account",
                       answer.body, logged(assay, 'credential_failed'))


CHAT = b'{"messages":[{"role":"user","content":"hi"}],"model":"google/gemini-2.5-pro"}'


def token_that_is_gone(results):
    """Two reloads that each name another account, while a call waits for its model."""
    with tempfile.TemporaryDirectory() as folder:
        certs = DevCerts(folder)
        with Cloud(certs.server_context()) as cloud:
            account, _ = write_account(folder, 'https://127.0.0.1:%d/token' %
                                       cloud.services_port)
            google = {'credential': 'google', 'dialects': ['openai'],
                      'google': {'file': account}}
            house = House(cloud, google, SSL_CERT_FILE=certs.ca)
            with house as assay:
                answer = cloud.wait(left_without_a_token(house.assay, cloud, account))
                results.ok(answer.status == 503 and
                           b'no_provider_credential' in answer.body and
                           answer.field('x-should-retry') == 'true',
                           'a token that is gone by the time of sending: 503',
                           answer.status, answer.body)
                results.ok(not cloud.requests, 'nothing leaves without it',
                           *[request.fields for request in cloud.requests])
                answer = call(assay, '/bedrock/chat/completions', body=CHAT)
                results.ok(answer.status == 200, 'the next call has the new one', answer.body)


async def left_without_a_token(assay, cloud, account):
    client = http1.Client(assay.port)
    await client.send('POST', '/bedrock/chat/completions',
                      [('host', 'h'), ('authorization', 'Bearer ' + assay.key),
                       ('content-length', str(len(CHAT)))], CHAT[:20])
    await asyncio.to_thread(assay.wait_for_calls, 1)
    for name in ('second', 'third'):
        other = account + name
        shutil.copy(account, other)
        assay.config['providers']['bedrock']['google'] = {'file': other}
        tokens = len(cloud.tokens)
        await asyncio.to_thread(assay.reload)
        await asyncio.to_thread(until, lambda: len(cloud.tokens), lambda n, t=tokens: n > t)
    await asyncio.sleep(0.2)
    client.writer.write(CHAT[20:])
    response = await asyncio.wait_for(client.receive('POST'), PATIENCE)
    client.close()
    return response


def run(results):
    for case in (signed_by_env, signed_by_file, renewed_for_a_container, signed_by_instance,
                 without_a_key, refused, token_for_a_service_account, token_of_the_machine, token_that_is_gone):
        case(results)
    results.ok(all(status == 0 for status, _ in ends), 'every assay stops cleanly',
               *[log for status, log in ends if status != 0])
    ends.clear()
