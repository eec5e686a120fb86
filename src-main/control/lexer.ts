// SPDX-License-Identifier: Apache-2.0
/**
 * Bytes to JSON tokens, for any chunking. The states are compiled into one table of `state × byte`. The dialect is QMP's:
 * strings in double or single quotes, and after an error all is skipped up to a byte at which a new start is promising.
 */

export type Punctuation = '{' | '}' | '[' | ']' | ':' | ',';

/**
 * `text` holds the token's bytes, one character (U+0000 to U+00FF) each, strings with their quotes. `error` is what could
 * not be a token, with the byte that spoilt it; `oversize` is the beginning of a token beyond the limit.
 */
export interface Token {
  readonly kind: Punctuation | 'string' | 'integer' | 'float' | 'keyword' | 'error' | 'oversize';
  readonly text: string;
}

const State = {
  start: 0,
  double: 1,
  doubleEscape: 2,
  single: 3,
  singleEscape: 4,
  minus: 5,
  zero: 6,
  digits: 7,
  point: 8,
  fraction: 9,
  exponent: 10,
  exponentSign: 11,
  exponentDigits: 12,
  keyword: 13,
  recovery: 14,
} as const;
const STATE_COUNT = 15;

/** Table entries from here on end the token, from the next mark on without the byte at hand. */
const ENDS_WITH = 32;
const ENDS_BEFORE = 64;
const ENDING_KINDS = ['string', 'integer', 'float', 'keyword', 'error'] as const;
const PUNCTUATION = 96;
/** The byte belongs to nothing: white space between tokens. */
const SKIP = 97;
/** Recovery is over; the byte at hand begins anew. */
const RESTART = 98;

type EndingKind = (typeof ENDING_KINDS)[number];
const endsWith = (kind: EndingKind): number => ENDS_WITH + ENDING_KINDS.indexOf(kind);
const endsBefore = (kind: EndingKind): number => ENDS_BEFORE + ENDING_KINDS.indexOf(kind);

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const isLetter = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;
const isExponent = (byte: number): boolean => byte === 0x45 || byte === 0x65;
/** FE and FF never occur in UTF-8; with the control characters they let a client force a new start. */
const isImpossibleInString = (byte: number): boolean => byte < 0x20 || byte >= 0xfe;
const character = (byte: number): string => String.fromCharCode(byte);

function nextFromStart(byte: number): number {
  if (isLetter(byte)) return State.keyword;
  if (byte >= 0x31 && byte <= 0x39) return State.digits;
  switch (character(byte)) {
    case '"':
      return State.double;
    case "'":
      return State.single;
    case '-':
      return State.minus;
    case '0':
      return State.zero;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
      return SKIP;
    case '{':
    case '}':
    case '[':
    case ']':
    case ':':
    case ',':
      return PUNCTUATION;
    default:
      return endsWith('error');
  }
}

function nextInString(byte: number, quote: string, inside: number, escape: number): number {
  if (isImpossibleInString(byte)) return endsWith('error');
  if (character(byte) === quote) return endsWith('string');
  return byte === 0x5c ? escape : inside;
}

/** After an integer part, a fraction or an exponent: what may follow, or the number is at its end. */
function nextInNumber(byte: number, digits: number, pointAllowed: boolean, exponentAllowed: boolean): number {
  if (isDigit(byte)) return digits;
  if (pointAllowed && byte === 0x2e) return State.point;
  if (exponentAllowed && isExponent(byte)) return State.exponent;
  return endsBefore(pointAllowed ? 'integer' : 'float');
}

const ERROR = endsWith('error');

/** What each state makes of a byte, in the order of {@link State}. */
const STEPS: readonly ((byte: number) => number)[] = [
  nextFromStart,
  (byte) => nextInString(byte, '"', State.double, State.doubleEscape),
  (byte) => (isImpossibleInString(byte) ? ERROR : State.double),
  (byte) => nextInString(byte, "'", State.single, State.singleEscape),
  (byte) => (isImpossibleInString(byte) ? ERROR : State.single),
  (byte) => (byte === 0x30 ? State.zero : isDigit(byte) ? State.digits : ERROR),
  (byte) => nextInNumber(byte, ERROR, true, true),
  (byte) => nextInNumber(byte, State.digits, true, true),
  (byte) => (isDigit(byte) ? State.fraction : ERROR),
  (byte) => nextInNumber(byte, State.fraction, false, true),
  (byte) => (isDigit(byte) ? State.exponentDigits : byte === 0x2b || byte === 0x2d ? State.exponentSign : ERROR),
  (byte) => (isDigit(byte) ? State.exponentDigits : ERROR),
  (byte) => nextInNumber(byte, State.exponentDigits, false, false),
  (byte) => (isLetter(byte) ? State.keyword : endsBefore('keyword')),
  (byte) => (endsRecovery(byte) ? RESTART : State.recovery),
];

function endsRecovery(byte: number): boolean {
  return (byte < 0x20 && byte !== 0x09) || byte >= 0xfe || '{}[]:,'.includes(character(byte));
}

const TABLE = new Uint8Array(STATE_COUNT * 256);
STEPS.forEach((step, state) => {
  for (let byte = 0; byte < 256; byte++) TABLE[state * 256 + byte] = step(byte);
});

/** Splits a byte stream into {@link Token}s. */
export class JsonLexer {
  readonly #maxTokenBytes: number;
  #state: number = State.start;
  /** The part of the current token that came in earlier chunks. */
  #carried = '';

  constructor(maxTokenBytes: number) {
    this.#maxTokenBytes = maxTokenBytes;
  }

  /** Takes the next bytes and hands every token that they complete to `emit`, in order. */
  feed(bytes: Uint8Array, emit: (token: Token) => void): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let begin = 0;
    let at = 0;
    while (at < chunk.length) {
      const next = TABLE[this.#state * 256 + (chunk[at] ?? 0)] ?? 0;
      if (next < STATE_COUNT) {
        this.#state = next;
        at++;
        if (next === State.recovery) begin = at;
        else if (at - begin + this.#carried.length > this.#maxTokenBytes) {
          emit({ kind: 'oversize', text: '' });
          this.#restart(State.recovery);
          begin = at;
        }
        continue;
      }
      if (next === SKIP) begin = ++at;
      else if (next === RESTART) {
        this.#state = State.start;
        begin = at;
      } else if (next === PUNCTUATION) {
        emit({ kind: character(chunk[at] ?? 0) as Punctuation, text: '' });
        begin = ++at;
      } else {
        if (next < ENDS_BEFORE) at++;
        const kind = ENDING_KINDS[next % ENDS_WITH] ?? 'error';
        const text = this.#carried + chunk.toString('latin1', begin, at);
        this.#restart(kind === 'error' ? State.recovery : State.start);
        begin = at;
        emit({ kind, text });
      }
    }
    if (this.#state !== State.start && this.#state !== State.recovery)
      this.#carried += chunk.toString('latin1', begin, at);
  }

  /** The stream is over: a number or a keyword at its very end is complete now, anything else unfinished is an error. */
  finish(emit: (token: Token) => void): void {
    const text = this.#carried;
    const next = TABLE[this.#state * 256 + 0x0a] ?? 0;
    const unfinished = this.#state !== State.start && this.#state !== State.recovery;
    this.#restart(State.start);
    if (unfinished) emit({ kind: next >= ENDS_BEFORE ? (ENDING_KINDS[next % ENDS_WITH] ?? 'error') : 'error', text });
  }

  #restart(state: number): void {
    this.#state = state;
    this.#carried = '';
  }
}
