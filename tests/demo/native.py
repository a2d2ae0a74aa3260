"""APIs of the demo provider beside those of OpenAI and Anthropic: which of them a path belongs
to, and what its request asks for."""

import dataclasses
import re

import bedrock
import cohere
import gemini
import groq
import mistral
import ollama

APIS = (gemini, bedrock, ollama, cohere, mistral, groq)


@dataclasses.dataclass
class Ask:
    """A request as the API's own functions see it."""

    api: object           # the module: error(), stream_error()
    answer: object        # its function for this path
    model: str            # from the path; '' where the body has it
    action: str           # the last word of the path: "converse-stream", "generateContent" ...
    query: str
    body: dict = None
    script: object = None
    number: int = 0

    @property
    def stream(self):
        return self.api.wants_stream(self)


def find(method, path, query):
    """The Ask of a path, as yet without a body; None if no API here has it. `path` is
    unescaped."""
    for api in APIS:
        for wanted, pattern, answer in api.ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == wanted:
                named = match.groupdict()
                return Ask(api, answer, named.get('model') or '', named.get('action') or '',
                           query)
    return None
