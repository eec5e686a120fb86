// SPDX-License-Identifier: Apache-2.0
/** The app's own schemes: which there are and who answers their requests. */
import { lifecycle } from './lifecycle.ts';
import { carryScheme } from '../page/carried-url.ts';
import { record } from '../record.ts';
import { strict } from '../strict.ts';

export type ProtocolHandler = (request: Request) => Response | Promise<Response>;

const handlers = new Map<string, ProtocolHandler>();

export const protocol = strict('protocol', {
  registerSchemesAsPrivileged: (schemes: Electron.CustomScheme[]) => {
    if (lifecycle.isReady) throw new Error('protocol.registerSchemesAsPrivileged should be called before app is ready');
    record.privilegedSchemes.push(...schemes);
    for (const { scheme } of schemes) carryScheme(scheme);
  },
  handle: (scheme: string, handler: ProtocolHandler) => {
    if (!lifecycle.isReady) throw new Error('protocol.handle can only be called after app is ready');
    if (handlers.has(scheme)) throw new Error(`Failed to register protocol: ${scheme}`);
    carryScheme(scheme);
    handlers.set(scheme, handler);
  },
  unhandle: (scheme: string) => {
    if (!handlers.delete(scheme)) throw new Error(`Failed to unhandle protocol: ${scheme}`);
  },
  isProtocolHandled: (scheme: string) => handlers.has(scheme),
} satisfies Pick<Electron.Protocol, 'registerSchemesAsPrivileged' | 'handle' | 'unhandle' | 'isProtocolHandled'>);

/** Who answers for that scheme. */
export const protocolHandler = (scheme: string): ProtocolHandler | undefined => handlers.get(scheme);
