// SPDX-License-Identifier: Apache-2.0
/** Which process draws a page. The DevTools protocol says it in traces only. */
import type { Protocol, Session } from '../chromium/cdp.ts';

interface TraceEvent {
  readonly name: string;
  readonly args?: { readonly data?: { readonly frames?: readonly { frame: string; processId: number }[] } };
}

/** Chromium takes one trace at a time. */
let last: Promise<unknown> = Promise.resolve();

/** The process id; 0 where the page is gone before it is known. */
export function rendererPid(session: Session, frameId: string): Promise<number> {
  const asked = last.then(() => trace(session, frameId).catch(() => 0));
  last = asked;
  return asked;
}

async function trace(session: Session, frameId: string): Promise<number> {
  let pid = 0;
  const collect = ({ value }: Protocol.Tracing.dataCollectedPayload): void => {
    for (const { name, args } of value as unknown as TraceEvent[]) {
      if (name !== 'TracingStartedInBrowser') continue;
      pid = args?.data?.frames?.find(({ frame }) => frame === frameId)?.processId ?? pid;
    }
  };
  let complete = (): void => undefined;
  const completed = new Promise<void>((resolve) => {
    complete = resolve;
  });
  session.on('Tracing.dataCollected', collect);
  session.on('Tracing.tracingComplete', complete);
  try {
    await session.send('Tracing.start', {
      transferMode: 'ReportEvents',
      traceConfig: { includedCategories: ['disabled-by-default-devtools.timeline'] },
    });
    await session.send('Tracing.end');
    await completed;
    return pid;
  } finally {
    session.off('Tracing.dataCollected', collect);
    session.off('Tracing.tracingComplete', complete);
  }
}
