// SPDX-License-Identifier: Apache-2.0
/**
 * A stream of JSON values, as QMP reads one: tokens are gathered until their brackets balance, then parsed as a whole. An
 * error costs what was gathered; the stream stays usable.
 */
import { WholeDouble, type JsonInput } from './json.ts';
import { JsonLexer, type Token } from './lexer.ts';
import { decodeStringToken, StringTokenError } from './string-token.ts';

/** Caps on one value. They bound the memory and the stack that a peer can make us spend. */
export interface JsonLimits {
  /** Bytes in the tokens of one value. */
  readonly maxBytes: number;
  /** Brackets open at once. */
  readonly maxDepth: number;
  /** Tokens in one value: each costs some 50 bytes while it waits for its closing bracket. */
  readonly maxTokens: number;
}

/** For a server: a command is a few hundred bytes, and 1 MiB leaves room for any list of bitmaps. */
export const COMMAND_LIMITS: JsonLimits = { maxBytes: 1 << 20, maxDepth: 64, maxTokens: 1 << 17 };
/** For a client: `query-qmp-schema` of a full QEMU is some 300 KiB; 16 MiB leaves room for any answer. */
export const REPLY_LIMITS: JsonLimits = { maxBytes: 16 << 20, maxDepth: 64, maxTokens: 1 << 21 };

/** A value, or the sentence that says what could not be one. */
export type JsonResult =
  { readonly ok: true; readonly value: JsonInput } | { readonly ok: false; readonly sentence: string };

class JsonParseError extends Error {
  override readonly name = 'JsonParseError';
  readonly code = 'JSON_PARSE';
}

export class JsonReader {
  readonly #limits: JsonLimits;
  readonly #lexer: JsonLexer;
  #tokens: Token[] = [];
  #bytes = 0;
  #braces = 0;
  #brackets = 0;

  constructor(limits: JsonLimits) {
    this.#limits = limits;
    this.#lexer = new JsonLexer(limits.maxBytes);
  }

  /** Takes the next bytes, in any chunking; gives every value and every error that they complete, in order. */
  push(bytes: Uint8Array): JsonResult[] {
    const results: JsonResult[] = [];
    this.#lexer.feed(bytes, (token) => this.#take(token, results));
    return results;
  }

  /** The stream is over: a number or a keyword at its end is complete; an unfinished value is dropped without a word. */
  finish(): JsonResult[] {
    const results: JsonResult[] = [];
    this.#lexer.finish((token) => this.#take(token, results));
    this.#reset();
    return results;
  }

  #take(token: Token, results: JsonResult[]): void {
    this.#count(token);
    const refusal = this.#refusal(token);
    if (refusal !== undefined) {
      this.#reset();
      results.push({ ok: false, sentence: refusal });
      return;
    }
    this.#tokens.push(token);
    const open = this.#braces > 0 || this.#brackets > 0;
    if (open && this.#braces >= 0 && this.#brackets >= 0) return;
    const tokens = this.#tokens;
    this.#reset();
    results.push(parseTokens(tokens));
  }

  #count({ kind, text }: Token): void {
    if (kind === '{') this.#braces++;
    else if (kind === '}') this.#braces--;
    else if (kind === '[') this.#brackets++;
    else if (kind === ']') this.#brackets--;
    this.#bytes += text.length === 0 ? 1 : text.length;
  }

  #refusal({ kind, text }: Token): string | undefined {
    if (kind === 'error') return `JSON parse error, stray '${asForeignText(text)}'`;
    if (kind === 'oversize' || this.#bytes > this.#limits.maxBytes) return 'JSON token size limit exceeded';
    if (this.#tokens.length >= this.#limits.maxTokens) return 'JSON token count limit exceeded';
    if (this.#braces + this.#brackets > this.#limits.maxDepth) return 'JSON nesting depth limit exceeded';
    return undefined;
  }

  #reset(): void {
    this.#tokens = [];
    this.#bytes = 0;
    this.#braces = 0;
    this.#brackets = 0;
  }
}

/** Longest piece of a peer's broken input that an error repeats. */
const MAX_QUOTED_BYTES = 1024;

/** Bytes as text: up to the first NUL, as a C program would print them; what is not UTF-8 becomes U+FFFD. */
function asForeignText(bytes: string): string {
  const [printable = ''] = bytes.slice(0, MAX_QUOTED_BYTES).split('\0', 1);
  return Buffer.from(printable, 'latin1').toString('utf8');
}

function parseTokens(tokens: readonly Token[]): JsonResult {
  try {
    return { ok: true, value: new TokenParser(tokens).value() };
  } catch (error) {
    if (error instanceof JsonParseError || error instanceof StringTokenError) {
      return { ok: false, sentence: `JSON parse error, ${error.message}` };
    }
    throw error;
  }
}

/** Recursive descent; the reader has bounded the depth. */
class TokenParser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  value(): JsonInput {
    const { kind, text } = this.#next();
    switch (kind) {
      case '{':
        return this.#object();
      case '[':
        return this.#array();
      case 'string':
        return decodeStringToken(text);
      case 'integer':
        return integer(text);
      case 'float':
        return double(text);
      case 'keyword':
        return keyword(text);
      case '}':
      case ']':
      case ':':
      case ',':
      case 'error':
      case 'oversize':
        throw new JsonParseError('expecting value');
    }
  }

  #next(): Token {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new JsonParseError('premature EOI');
    return token;
  }

  #peek(): Token['kind'] | undefined {
    return this.#tokens[this.#at]?.kind;
  }

  #object(): JsonInput {
    const members = Object.create(null) as Record<string, JsonInput>;
    if (this.#peek() === '}') {
      this.#at++;
      return members;
    }
    for (;;) {
      this.#member(members);
      const { kind } = this.#next();
      if (kind === '}') return members;
      if (kind !== ',') throw new JsonParseError('expected separator in dict');
    }
  }

  #member(members: Record<string, JsonInput>): void {
    const name = this.value();
    if (typeof name !== 'string') throw new JsonParseError('key is not a string in object');
    if (this.#next().kind !== ':') throw new JsonParseError('missing : in object pair');
    const value = this.value();
    if (name in members) throw new JsonParseError('duplicate key');
    members[name] = value;
  }

  #array(): JsonInput {
    const items: JsonInput[] = [];
    if (this.#peek() === ']') {
      this.#at++;
      return items;
    }
    for (;;) {
      items.push(this.value());
      const { kind } = this.#next();
      if (kind === ']') return items;
      if (kind !== ',') throw new JsonParseError('expected separator in list');
    }
  }
}

function keyword(text: string): boolean | null {
  switch (text) {
    case 'true':
      return true;
    case 'false':
      return false;
    case 'null':
      return null;
    default:
      throw new JsonParseError(`invalid keyword '${text.slice(0, MAX_QUOTED_BYTES)}'`);
  }
}

/** Digits of the longest 64-bit integer, sign included. */
const MAX_INTEGER_DIGITS = 20;

/** -2^63..2^64-1 exactly; beyond that, as QEMU, the nearest double. */
function integer(text: string): JsonInput {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value === 0 ? 0 : value;
  if (text.length <= MAX_INTEGER_DIGITS) {
    const exact = BigInt(text);
    if (exact >= -(2n ** 63n) && exact < 2n ** 64n) return exact;
  }
  return double(text);
}

function double(text: string): JsonInput {
  const value = Number(text);
  // QEMU would go on with an infinity, which no answer can express.
  if (!Number.isFinite(value)) {
    throw new JsonParseError(`number '${text.slice(0, MAX_QUOTED_BYTES)}' is out of range`);
  }
  return Number.isInteger(value) ? new WholeDouble(value) : value;
}
