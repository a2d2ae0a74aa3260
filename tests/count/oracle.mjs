// node oracle.mjs tiktoken-folder ENCODING POOL COUNT SEED OUT: COUNT strings of a pool, or of
// the texts of a folder of recordings, with the tokens that tiktoken counts in each. Per string:
// its length and its tokens (32 bits, little-endian), its bytes.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const [folder, encodingName, poolName, count, seed, out] = process.argv.slice(2);
const tiktoken = createRequire(path.resolve(folder) + '/')('tiktoken');
const encoding = tiktoken.get_encoding(encodingName);

// mulberry32
let state = Number(seed) >>> 0;
function random() {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const some = (max, make) => Array.from({ length: 1 + below(max) }, make).join('');
const between = (a, b) => String.fromCodePoint(a + below(b - a + 1));

// Any code point but surrogates.
function scalar() {
    const point = pick([0x80, 0x800, 0x10000, 0x110000, 0x3000, 0x20000]);
    const value = below(point);
    return String.fromCodePoint(value >= 0xd800 && value <= 0xdfff ? 0xfffd : value);
}

const words = `the of and to in is that for it as was with be by on not he his but at are this have
from or had an they which one you were her all she there would their we him been has when who will
more no if out so said what up its about into than them can only other new some could time these two
may then do first any my now such like our over man me even most made after also did many before must
through back years where much your way well down should because each just those people how too little
state good very make world still own see men work long get here between both life being under never day
same another know while last might us great old year off come since against go came right used take three
Internationalization unbelievable counterclockwise O'Brien McDonald's iPhone HTTPServer eBay WONDERFUL
don't I'll we've they're it's she'd I'm DON'T IT'S You'Re 'twas rock'n'roll naïve façade Zürich`.split(/\s+/);
const code = ['if (', ') {\n', '    ', '\t', '\t\t', '        ', '}\n', '\n\n', 'return ', 'self.', '_init__',
    'getElementById', 'XMLHttpRequest', 'snake_case_name', 'MAX_VALUE', '->', '::', '=>', '===', '!=', '&&',
    '||', '//', '/*', '*/', '#include <', '.h>', '0x', '1e-9', '"', "'", '`', '${', '}', '[', ']', ';\n', ',',
    ' = ', ' + ', '<div class="', '</div>\n', '\r\n', 'http://', '/usr/bin', '@', '\\n', '%s', 'def ', ':\n'];
const scripts = [[0x41, 0x7a], [0xc0, 0x24f], [0x370, 0x3ff], [0x400, 0x4ff], [0x531, 0x58f], [0x5d0, 0x5ea],
    [0x620, 0x6ff], [0x900, 0x97f], [0x980, 0x9ff], [0xb80, 0xbff], [0xc00, 0xc7f], [0xd00, 0xd7f],
    [0xe01, 0xe5b], [0x10a0, 0x10ff], [0x1780, 0x17ff], [0x1e00, 0x1fff], [0x2000, 0x206f], [0x2070, 0x22ff],
    [0x3040, 0x30ff], [0x4e00, 0x9fff], [0xac00, 0xd7a3], [0xff01, 0xffee], [0x1d400, 0x1d7ff], [0x1f300, 0x1f6ff]];
const spaces = [' ', ' ', ' ', '  ', '\n', '\n', '\t', '\r', '\r\n', '\v', '\f', '\u0085', '\u00a0', '\u1680',
    '\u2003', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\ufeff', '\u180e', '\u200b'];
const hanzi = '的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运京彩票狗讯';
const kana = () => between(0x3041, 0x30fe);
const hangul = () => between(0xac00, 0xd7a3);
const emoji = ['😀', '👩‍👩‍👧‍👦', '👍🏽', '🇩🇪', '❤️', '🏳️‍🌈', '1️⃣', '🧑‍💻', '☕', '✨', '🫠', '\u200d', '\ufe0f'];
const mark = () => pick([between(0x300, 0x36f), between(0x300, 0x36f), between(0x1ab0, 0x1abe), '\u093f', '\u0e31',
    '\u20dd', '\u064b', '\ufe20']);

const pools = {
    words: () => some(30, () => pick(words) + pick([' ', ' ', ' ', ' ', ', ', '. ', '\n', '-', ' (', ')', "'s ", '!'])),
    code: () => some(40, () => pick([pick(code), pick(words), String(below(100000))])),
    mixed: () => some(25, () => pick([() => pick(words), () => pick(spaces), () => some(6, scalar),
        () => { const [a, b] = pick(scripts); return some(8, () => between(a, b)); }, () => pick(code),
        () => pick(emoji), () => String(below(10000))])()),
    scripts: () => { const list = [pick(scripts), pick(scripts)];
        return some(12, () => some(8, () => between(...pick(list))) + pick(['', ' ', '\n', "'s", '.'])); },
    spaces: () => some(15, () => some(5, () => pick(spaces)) + pick(['', '', 'a', 'B', '1', '.', '中', '/', '\u0301'])),
    cjk: () => some(10, () => pick([() => some(30, () => hanzi[below(hanzi.length)]),
        () => some(12, () => between(0x4e00, 0x9fff)), () => some(8, kana), () => some(8, hangul),
        () => pick(['，', '。', '、', '：', '「', '」', '！', '？', ' ', '\n', 'API', '3', '（', '）'])])()),
    emoji: () => some(15, () => pick([pick(emoji), pick(emoji), pick(words), ' ', scalar()])),
    marks: () => some(15, () => pick([between(0x41, 0x5a), between(0x61, 0x7a), '中', ' ', '1', "'s", '.']) +
        (below(2) ? some(3, mark) : '')),
    digits: () => some(15, () => pick([String(below(10 ** below(12))), between(0x660, 0x669), between(0x966, 0x96f),
        '½', 'Ⅷ', '²', '一', ' ', '.', ',', '-', 'e', '0'.repeat(below(20))])),
    contractions: () => some(12, () => pick([...words.slice(0, 9), 'A', 'É', 'ß', 'ſ', '中', '\u0301', ' ', '1', '.']) +
        pick(["'", '’', "''"]) + pick(['s', 'S', 'ſ', 't', 'T', 're', 'Re', 'rE', 'vE', 'm', 'LL', 'lL', 'd', 'l', 'r', ''])),
    cases: () => some(12, () => some(5, () => pick(['A', 'b', 'Ǆ', 'ǅ', 'ǆ', 'ʰ', '中', '\u0301', 'É', 'é', 'Ж', 'ж', 'ª'])) +
        pick(['', '', ' ', '_', '/', '\n'])),
    runs: () => some(6, () => pick(['a', 'A', ' ', '\n', '-', '=', '_', '0', '\t', '中', 'é', '😀', 'ab', 'Aa', '/', '\r\n',
        ' \n', '\u0301', 'lol', 'ha', '.', '#', scalar()]).repeat(pick([3, 9, 40, 130, 260]) + below(9))),
    symbols: () => some(20, () => pick([between(0x21, 0x2f), between(0x3a, 0x40), between(0x5b, 0x60), between(0x7b, 0x7e),
        between(0, 0x1f), '\x7f', ' ', '\n', '/', '€', '→', '—', '“', '”', 'a', 'Z'])),
    junk: () => some(60, () => between(0, 0x7f)),
    bytes: () => Buffer.from(Array.from({ length: 1 + below(60) }, () => pick([below(256), below(128), 0xe4, 0xb8, 0xf0, 0x9f]))),
    // Every code point in turn, in the places where its class shows.
    points: () => { const c = String.fromCodePoint(next()); next.at++;
        return `${c}123${c}'s ${c}the${c}The THE${c} ${c}${c}\n${c} ${c} 1${c}2 ${c}ing .${c}/`; },
};
function next() {
    if (next.at >= 0xd800 && next.at <= 0xdfff) {
        next.at = 0xe000;
    }
    return next.at % 0x110000;
}
next.at = Number(seed);

// The strings of recorded JSON and event streams, and what cannot be read as such as it is.
function* recorded(file) {
    for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
        yield line;
        let values = [];
        try { values = [JSON.parse(line)]; } catch { /* not JSON: the line is enough */ }
        while (values.length > 0) {
            const value = values.pop();
            if (typeof value === 'string') {
                yield value;
            } else if (value !== null && typeof value === 'object') {
                values.push(...Object.values(value));
            }
        }
    }
}

function* strings() {
    if (pools[poolName]) {
        for (let i = 0; i < Number(count); i++) {
            yield pools[poolName]();
        }
        return;
    }
    const step = Math.max(1, Number(count));
    let n = 0;
    for (const name of fs.readdirSync(poolName).filter((name) => name.endsWith('.jsonl')).sort()) {
        for (const text of recorded(path.join(poolName, name))) {
            if (n++ % step === 0) {
                yield text;
            }
        }
    }
}

const sink = fs.openSync(out, 'w');
for (const text of strings()) {
    const bytes = Buffer.from(text);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(bytes.length, 0);
    head.writeUInt32LE(encoding.encode_ordinary(bytes.toString('utf8')).length, 4);
    fs.writeSync(sink, Buffer.concat([head, bytes]));
}
fs.closeSync(sink);
