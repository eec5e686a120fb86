// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { object, optional, str } from '../../../src-main/control/arguments.ts';
import { defineCommand, type CommandContext, type CommandTable } from '../../../src-main/control/command.ts';
import { QmpError } from '../../../src-main/control/protocol.ts';
import { MAX_WAITING_REQUESTS, QmpSession } from '../../../src-main/control/session.ts';

const none = object({});

class Fixture {
  readonly lines: string[] = [];
  readonly reading: boolean[] = [];
  readonly defects: unknown[] = [];
  readonly session: QmpSession;

  constructor(commands: CommandTable = {}) {
    this.session = new QmpSession({
      version: { qemu: { major: 8, minor: 2, micro: 0 }, package: 'godwit-0.0.0' },
      commands,
      send: (line) => this.lines.push(line),
      setReading: (reading) => this.reading.push(reading),
      onDefect: (error) => this.defects.push(error),
      now: () => 1_700_000_000_123.5,
    });
    this.session.open();
  }

  /** Sends and waits until all is answered; gives the new lines without their end. */
  async ask(text: string): Promise<string[]> {
    const before = this.lines.length;
    this.session.receive(Buffer.from(text));
    await this.session.idle();
    return this.lines.slice(before).map((line) => line.replace(/\r\n$/u, ''));
  }

  async negotiated(oob = false): Promise<this> {
    await this.ask(`{"execute":"qmp_capabilities"${oob ? `,"arguments":{"enable":["oob"]}` : ''}}`);
    return this;
  }
}

const error = (desc: string, errorClass = 'GenericError'): string =>
  `{"error": {"class": "${errorClass}", "desc": "${desc}"}}`;

describe('negotiation', () => {
  it('greets at once, each line ended by CR LF', () => {
    expect(new Fixture().lines).toEqual([
      '{"QMP": {"version": {"qemu": {"major": 8, "minor": 2, "micro": 0}, "package": "godwit-0.0.0"}, "capabilities": ["oob"]}}\r\n',
    ]);
  });

  it('refuses every command before, known or not, and accepts one negotiation', async () => {
    const fixture = new Fixture({ known: defineCommand({ arguments: none, handler: () => 1 }) });
    const refused = error("Expecting capabilities negotiation with 'qmp_capabilities'", 'CommandNotFound');
    expect(await fixture.ask('{"execute":"known"}{"execute":"nope"}')).toEqual([refused, refused]);
    expect(await fixture.ask(`{"execute":"qmp_capabilities","arguments":{"enable":["nope"]}}`)).toEqual([
      error("Parameter 'null' does not accept value 'nope'"),
    ]);
    expect(await fixture.ask('{"execute":"known"}')).toEqual([refused]);
    expect(await fixture.ask('{"execute":"qmp_capabilities"}{"execute":"known"}')).toEqual([
      '{"return": {}}',
      '{"return": 1}',
    ]);
    expect(await fixture.ask('{"execute":"qmp_capabilities"}')).toEqual([
      error('Capabilities negotiation is already complete, command ignored', 'CommandNotFound'),
    ]);
  });

  it('sends events only afterwards', async () => {
    const fixture = new Fixture();
    fixture.session.emit({ event: 'STOP' });
    expect(fixture.lines).toHaveLength(1);
    await fixture.negotiated();
    fixture.session.emit({ event: 'MIGRATION', data: { status: 'active' } });
    fixture.session.emit({ event: 'STOP' });
    expect(fixture.lines.slice(2)).toEqual([
      '{"timestamp": {"seconds": 1700000000, "microseconds": 123500}, "event": "MIGRATION", "data": {"status": "active"}}\r\n',
      '{"timestamp": {"seconds": 1700000000, "microseconds": 123500}, "event": "STOP"}\r\n',
    ]);
  });
});

describe('requests', () => {
  it.each(['7', '"x"', 'true', 'null', '[1, {"a": null}]', '{"b": 18446744073709551615}', '-1'])(
    'get their id %s back, in success and in error',
    async (id) => {
      const fixture = await new Fixture({
        ok: defineCommand({ arguments: none, handler: () => undefined }),
      }).negotiated();
      expect(await fixture.ask(`{"execute":"ok","id":${id}}`)).toEqual([`{"return": {}, "id": ${id}}`]);
      expect(await fixture.ask(`{"execute":5,"id":${id}}`)).toEqual([
        `{"id": ${id}, ${error("QMP input member 'execute' must be a string").slice(1)}`,
      ]);
    },
  );

  it.each([
    ['{}', "QMP input lacks member 'execute'"],
    ['[]', 'QMP input must be a JSON object'],
    ['"x"', 'QMP input must be a JSON object'],
    ['{"execute":5}', "QMP input member 'execute' must be a string"],
    ['{"execute":"ok","arguments":[]}', "QMP input member 'arguments' must be an object"],
    ['{"execute":"ok","more":1}', "QMP input member 'more' is unexpected"],
    ['{"exec-oob":"ok"}', "QMP input member 'exec-oob' is unexpected"],
    ['{"execute":"ok","exec-oob":"ok"}', "QMP input member 'exec-oob' is unexpected"],
    ['{"execute":"ok","arguments":{"x":1}}', "Parameter 'x' is unexpected"],
    ['nope ', "JSON parse error, invalid keyword 'nope'"],
    ['{"execute" "ok"}', 'JSON parse error, missing : in object pair'],
  ])('that are wrong (%s) are told why, and the session goes on', async (text, desc) => {
    const fixture = await new Fixture({
      ok: defineCommand({ arguments: none, handler: () => undefined }),
    }).negotiated();
    expect(await fixture.ask(`${text}\n{"execute":"ok"}`)).toEqual([error(desc), '{"return": {}}']);
  });

  it.each(['nope', '', 'toString', '__proto__', 'constructor'])(
    'for the unknown command %j are refused',
    async (name) => {
      const fixture = await new Fixture().negotiated();
      expect(await fixture.ask(`{"execute":"${name}"}`)).toEqual([
        error(`The command ${name} has not been found`, 'CommandNotFound'),
      ]);
    },
  );

  it('reach their handler with checked arguments', async () => {
    const echo = defineCommand({
      arguments: object({ text: str(), more: optional(str()) }),
      handler: ({ text, more }) => ({ said: text + (more ?? '!') }),
    });
    const fixture = await new Fixture({ echo }).negotiated();
    expect(await fixture.ask(`{'execute':'echo','arguments':{'text':'it\\'s'}}`)).toEqual([
      `{"return": {"said": "it's!"}}`,
    ]);
    expect(await fixture.ask(`{'execute':'echo'}`)).toEqual([error("Parameter 'text' is missing")]);
  });

  it('that a handler refuses are answered with its class and sentence', async () => {
    const refuse = defineCommand({
      arguments: none,
      handler: () => {
        throw new QmpError('DeviceNotFound', 'Instance not found');
      },
    });
    const fixture = await new Fixture({ refuse }).negotiated();
    expect(await fixture.ask('{"execute":"refuse"}')).toEqual([error('Instance not found', 'DeviceNotFound')]);
    expect(fixture.defects).toEqual([]);
  });

  it('that end in an error with a code are answered with its sentence, others are reported as defects', async () => {
    const fixture = await new Fixture({
      busy: defineCommand({
        arguments: none,
        handler: () =>
          Promise.reject(Object.assign(new Error('The port is taken: use another'), { code: 'EADDRINUSE' })),
      }),
      broken: defineCommand({
        arguments: none,
        handler: () => {
          throw new TypeError('x is undefined');
        },
      }),
      unwritable: defineCommand({ arguments: none, handler: () => ({ mbps: Number.NaN }) }),
    }).negotiated();
    expect(await fixture.ask('{"execute":"busy"}')).toEqual([error('The port is taken: use another')]);
    expect(await fixture.ask('{"execute":"broken"}')).toEqual([error('The command broken failed: x is undefined')]);
    expect(await fixture.ask('{"execute":"unwritable"}')).toEqual([
      error('The command unwritable failed: NaN is not a JSON number'),
    ]);
    expect(fixture.defects).toHaveLength(2);
  });
});

describe('order', () => {
  /** Commands that end when the test says so. */
  function gates(): {
    table: CommandTable;
    open: (name: string) => void;
    started: string[];
    contexts: CommandContext[];
  } {
    const started: string[] = [];
    const contexts: CommandContext[] = [];
    const doors = new Map<string, () => void>();
    const gate = (name: string, oob: boolean): [string, ReturnType<typeof defineCommand>] => [
      name,
      defineCommand({
        arguments: none,
        oob,
        handler: async (_args, context) => {
          started.push(name);
          contexts.push(context);
          await new Promise<void>((resolve) => doors.set(name, resolve));
          return name;
        },
      }),
    ];
    const table = Object.fromEntries([gate('first', false), gate('second', false), gate('urgent', true)]);
    return { table, open: (name) => doors.get(name)?.(), started, contexts };
  }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  it('of in-band commands is that of their arrival, one after another', async () => {
    const { table, open, started } = gates();
    const fixture = await new Fixture(table).negotiated();
    fixture.session.receive(Buffer.from('{"execute":"first"}{"execute":"second"}nope\n'));
    await settle();
    expect(started).toEqual(['first']);
    open('first');
    await settle();
    expect(started).toEqual(['first', 'second']);
    open('second');
    await fixture.session.idle();
    expect(fixture.lines.slice(2).map((line) => line.trim())).toEqual([
      '{"return": "first"}',
      '{"return": "second"}',
      error("JSON parse error, invalid keyword 'nope'"),
    ]);
  });

  it('is overtaken by out-of-band commands once that is negotiated', async () => {
    const { table, open, started, contexts } = gates();
    const fixture = await new Fixture(table).negotiated(true);
    fixture.session.receive(Buffer.from('{"execute":"first","id":1}{"exec-oob":"urgent","id":2}'));
    await settle();
    expect(started).toEqual(['first', 'urgent']);
    expect(contexts.map(({ oob }) => oob)).toEqual([false, true]);
    open('urgent');
    await settle();
    open('first');
    await fixture.session.idle();
    expect(fixture.lines.slice(2)).toEqual(['{"return": "urgent", "id": 2}\r\n', '{"return": "first", "id": 1}\r\n']);
  });

  it.each([
    ['{"exec-oob":"first"}', 'The command first does not support OOB', 'GenericError'],
    ['{"exec-oob":"qmp_capabilities"}', 'The command qmp_capabilities does not support OOB', 'GenericError'],
    ['{"exec-oob":"nope"}', 'The command nope has not been found', 'CommandNotFound'],
    ['{"exec-oob":5}', "QMP input member 'exec-oob' must be a string", 'GenericError'],
    ['{"exec-oob":"urgent","execute":"first"}', "QMP input member 'execute' clashes with 'exec-oob'", 'GenericError'],
  ])('out of band is refused to %s', async (text, desc, errorClass) => {
    const fixture = await new Fixture(gates().table).negotiated(true);
    expect(await fixture.ask(text)).toEqual([error(desc, errorClass)]);
  });

  it('asks to stop reading while too many requests wait', async () => {
    const { table, open } = gates();
    const fixture = await new Fixture(table).negotiated();
    fixture.session.receive(Buffer.from('{"execute":"first"}' + '{"execute":"nope"}'.repeat(MAX_WAITING_REQUESTS)));
    expect(fixture.reading).toEqual([false]);
    await settle();
    open('first');
    await fixture.session.idle();
    expect(fixture.reading).toEqual([false, true]);
    expect(fixture.lines).toHaveLength(2 + 1 + MAX_WAITING_REQUESTS);
  });

  it('ends with the client: handlers are told, what waits is dropped, nothing more is sent', async () => {
    const { table, open, started, contexts } = gates();
    const fixture = await new Fixture(table).negotiated();
    fixture.session.receive(Buffer.from('{"execute":"first"}{"execute":"second"}'));
    await settle();
    fixture.session.close();
    expect(contexts[0]?.signal.aborted).toBe(true);
    open('first');
    await fixture.session.idle();
    fixture.session.emit({ event: 'STOP' });
    expect(started).toEqual(['first']);
    expect(fixture.lines).toHaveLength(2);
  });

  it('answers what was asked before the client stopped sending, the last keyword included', async () => {
    const fixture = await new Fixture().negotiated();
    fixture.session.receive(Buffer.from('{"execute":"nope"} tru'));
    await fixture.session.finish();
    expect(fixture.lines).toHaveLength(4);
  });
});
