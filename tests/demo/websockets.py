"""The demo provider's WebSockets: OpenAI's Responses with several lanes, and Realtime.

What a lane is told to do stands in the model's name, as for plain calls; here `abort_after`
closes the connection without a close frame and `close_after` with one (script.py)."""

import asyncio
import json
import time
import urllib.parse

import realtime
import responses
import script as scripts
import websocket

DEFLATE = 'permessage-deflate'


def asked(request):
    return (request.field('upgrade') or '').lower() == 'websocket'


class Conversation:
    """One connection."""

    def __init__(self, call):
        self.call = call
        self.provider = call.provider
        self.lanes = {}
        self.tasks = set()
        self.socket = None

    async def run(self):
        request = self.call.request
        offers = request.field('sec-websocket-extensions') or ''
        offered = [name.strip() for name in
                   (request.field('sec-websocket-protocol') or '').split(',') if name.strip()]
        self.socket = websocket.switch(
            request, self.call.reply, offered[0] if offered else None,
            DEFLATE if DEFLATE in offers else None, self.call.fields())
        try:
            await self.talk()
        except websocket.Closed as closed:
            if closed.code is not None:
                self.socket.close(closed.code)
        finally:
            for task in self.tasks:
                task.cancel()

    async def talk(self):
        while True:
            message = json.loads(await self.socket.receive())
            if message.get('type') == 'response.create':
                lane = message.get('stream_id')
                if lane not in self.lanes:
                    self.lanes[lane] = asyncio.Queue()
                    self.start(self.serve(lane))
                self.lanes[lane].put_nowait(message)

    def start(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def serve(self, lane):
        """The responses of one lane, one after the other."""
        while True:
            body = await self.lanes[lane].get()
            self.provider.number += 1
            script = scripts.read(str(body.get('model') or ''), None)
            answer = responses.create(body, script, self.provider.number)
            if script.status != 200:
                error = {'type': 'error', 'status': script.status,
                         **self.call.error_body(script.status)}
                self.say(error, lane)
                continue
            line = self.truth(answer.api, answer.id, answer.model, answer.usage,
                              answer.tokens, len(answer.events))
            try:
                await self.stream(answer, script, lane, line)
            finally:
                self.call.write_truth(line)

    async def stream(self, answer, script, lane, line):
        for index, event in enumerate(answer.events):
            if index == script.abort_after:
                self.socket.abort()
                return
            if index == script.close_after:
                self.socket.close(1011, 'demo')
                return
            data = next(part for part in event.decode().split('\n')
                        if part.startswith('data: '))
            self.say(json.loads(data[6:]), lane)
            await self.socket.writer.drain()
            line['sent'] = index + 1
            line['completed'] = index + 1 == len(answer.events)
            await asyncio.sleep(script.delay_ms / 1000)

    def say(self, event, lane):
        if lane is not None:
            event['stream_id'] = lane
        self.socket.send(json.dumps(event))

    @staticmethod
    def truth(api, identity, model, usage, tokens, events):
        return {'id': identity, 'api': api, 'model': model, 'status': 200, 'stream': True,
                'usage': usage, 'tokens': tokens, 'include_usage': False, 'sent': 0,
                'of': events, 'completed': False, 'time': round(time.time(), 3)}


class RealtimeConversation(Conversation):
    """Realtime: one conversation, whose responses see all that was said before."""

    def __init__(self, call):
        super().__init__(call)
        query = urllib.parse.parse_qs(call.request.query)
        self.model = query.get('model', ['gpt-realtime'])[0]
        self.context = 20
        self.last = ''

    async def talk(self):
        self.socket.send(json.dumps(realtime.session(self.model, self.provider.number)))
        while True:
            message = json.loads(await self.socket.receive())
            kind = message.get('type')
            if kind == 'conversation.item.create':
                for part in message['item'].get('content', []):
                    self.last = part.get('text', '')
                    self.context += len(self.last.split())
            elif kind == 'input_audio_buffer.commit':
                self.heard()
                self.respond(spoken=True)
            elif kind == 'response.create':
                self.respond('audio' in (message.get('response') or {}).get(
                    'output_modalities', []))

    def heard(self):
        self.provider.number += 1
        event, truth = realtime.transcribed(self.provider.number, ['hello', 'there'])
        self.socket.send(json.dumps(event))
        self.record(truth)

    def respond(self, spoken):
        self.provider.number += 1
        events, truth = realtime.response(self.provider.number, self.model,
                                          self.last, spoken, self.context)
        for event in events:
            self.socket.send(event)
        self.context += truth[2]['output_tokens']
        self.record(truth)

    def record(self, truth):
        line = self.truth('openai.realtime', *truth, 1)
        line.update(sent=1, completed=True)
        self.call.write_truth(line)


KINDS = {'/responses': Conversation, '/realtime': RealtimeConversation}
