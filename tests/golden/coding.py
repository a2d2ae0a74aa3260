"""Content codings for recorded bodies, by the libraries that assay itself decodes with."""

import ctypes
import zlib

PIECES = 5
BROTLI_QUALITY, BROTLI_WINDOW, BROTLI_TEXT = 4, 20, 1
ZSTD_LEVEL = 3


def pieces_of(body):
    size = len(body) // PIECES + 1
    return [body[at:at + size] for at in range(0, len(body), size)]


def flushed(body, window):
    """One stream, flushed now and then as senders of events do."""
    stream = zlib.compressobj(6, zlib.DEFLATED, window)
    return b''.join(stream.compress(piece) + stream.flush(zlib.Z_SYNC_FLUSH)
                    for piece in pieces_of(body)) + stream.flush()


def gzip(body):
    return flushed(body, 31)


def zlib_deflate(body):
    return flushed(body, 15)


def raw_deflate(body):
    return flushed(body, -15)


def members(body):
    """A member a piece."""
    return b''.join(gzip(piece) for piece in pieces_of(body))


def brotli(body):
    library = ctypes.CDLL('libbrotlienc.so.1')
    out = ctypes.create_string_buffer(len(body) + len(body) // 8 + 1024)
    size = ctypes.c_size_t(len(out))
    assert library.BrotliEncoderCompress(
        BROTLI_QUALITY, BROTLI_WINDOW, BROTLI_TEXT, ctypes.c_size_t(len(body)), body,
        ctypes.byref(size), out) == 1
    return out.raw[:size.value]


def zstd(body):
    """A frame a piece."""
    library = ctypes.CDLL('libzstd.so.1')
    library.ZSTD_compress.restype = library.ZSTD_compressBound.restype = ctypes.c_size_t
    frames = []
    for piece in pieces_of(body):
        room = library.ZSTD_compressBound(ctypes.c_size_t(len(piece)))
        out = ctypes.create_string_buffer(room)
        size = library.ZSTD_compress(out, ctypes.c_size_t(room), piece,
                                     ctypes.c_size_t(len(piece)), ZSTD_LEVEL)
        assert size <= room
        frames.append(out.raw[:size])
    return b''.join(frames)


CODINGS = (('gzip', gzip), ('gzip', members), ('x-gzip', gzip), ('deflate', zlib_deflate),
           ('deflate', raw_deflate), ('br', brotli), ('zstd', zstd),
           ('gzip, br', lambda body: brotli(gzip(body))))


def code(case, number):
    """Encode a case's response by one of the codings, and let its request accept that."""
    if not case.response_body or any(name.lower() == 'content-encoding'
                                     for name, _ in case.response_fields):
        return
    name, encode = CODINGS[number % len(CODINGS)]
    case.coding = name.rsplit(', ', maxsplit=1)[-1]
    case.response_body = encode(case.response_body)
    case.response_fields = case.response_fields + [('content-encoding', name)]
    case.request_fields = [(field, value) for field, value in case.request_fields
                           if field.lower() != 'accept-encoding'] + \
        [('accept-encoding', name)]
