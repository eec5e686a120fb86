// SPDX-License-Identifier: Apache-2.0
/**
 * The environment in which `process.execPath` runs a script. Inside the desktop app that is Electron's executable: it is
 * a Node when it is told so (docs/security.md says why it may be).
 */
export function nodeEnvironment(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return 'electron' in process.versions ? { ...env, ELECTRON_RUN_AS_NODE: '1' } : env;
}
