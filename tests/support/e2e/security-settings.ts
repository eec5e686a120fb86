// SPDX-License-Identifier: Apache-2.0
/** What main tells Electron that matters for security, and what of it is weaker than it has to be. */

export interface SecuritySettings {
  /** Of each window. */
  readonly webPreferences: readonly Readonly<Record<string, unknown>>[];
  /** For all pages, whatever their preferences. */
  readonly sandboxed: boolean;
  readonly schemes: readonly { readonly scheme: string; readonly privileges?: Readonly<Record<string, unknown>> }[];
  readonly switches: readonly { readonly name: string }[];
  /** What is answered to a page that asks for a permission, or tries what needs one. */
  readonly granted: readonly string[];
  /** Windows that a page may open. */
  readonly opened: readonly string[];
}

/** Each has to be there, and to be this. */
const PREFERENCES: Readonly<Record<string, boolean>> = {
  sandbox: true,
  contextIsolation: true,
  nodeIntegration: false,
  nodeIntegrationInWorker: false,
  nodeIntegrationInSubFrames: false,
  webSecurity: true,
  allowRunningInsecureContent: false,
  experimentalFeatures: false,
  webviewTag: false,
  navigateOnDragDrop: false,
  safeDialogs: true,
  spellcheck: false,
};
/** May be there besides them. Anything else is looked at by whoever adds it here. */
const HARMLESS: readonly string[] = ['preload', 'devTools'];
const PRIVILEGES: Readonly<Record<string, boolean>> = { standard: true, secure: true, supportFetchAPI: true };
/** Each takes away a protection. Playwright appends harmless ones of its own, so that those cannot be told from ours. */
const SWITCHES: readonly string[] = [
  ...['no-sandbox', 'disable-setuid-sandbox', 'disable-namespace-sandbox', 'disable-gpu-sandbox', 'no-zygote'],
  ...['single-process', 'disable-web-security', 'disable-site-isolation-trials', 'allow-file-access-from-files'],
  ...['ignore-certificate-errors', 'allow-running-insecure-content', 'unsafely-treat-insecure-origin-as-secure'],
  ...['remote-allow-origins', 'js-flags', 'enable-logging', 'host-rules', 'proxy-server', 'load-extension'],
];

/** A line for each setting that is weaker; none where all is well. */
export function weaknesses(settings: SecuritySettings, packaged: boolean): string[] {
  const { webPreferences, sandboxed, schemes, switches, granted, opened } = settings;
  return [
    ...(webPreferences.length === 0 ? ['no window was made'] : []),
    ...webPreferences.flatMap((preferences) => weakPreferences(preferences, packaged)),
    ...(sandboxed ? [] : ['app.enableSandbox was not called']),
    ...schemes.flatMap(({ scheme, privileges = {} }) => [
      ...(scheme === 'app' ? [] : [`scheme ${scheme}`]),
      ...Object.entries(privileges).flatMap(([name, value]) =>
        PRIVILEGES[name] === value || value === false ? [] : [`scheme ${scheme}: ${name}`],
      ),
    ]),
    ...switches.flatMap(({ name }) => (SWITCHES.includes(name) ? [`switch ${name}`] : [])),
    ...granted.map((permission) => `permission ${permission}`),
    ...opened.map((url) => `window ${url}`),
  ];
}

function weakPreferences(preferences: Readonly<Record<string, unknown>>, packaged: boolean): string[] {
  const wanted = { ...PREFERENCES, ...(packaged && { devTools: false }) };
  return [
    ...Object.entries(wanted).flatMap(([name, value]) => (preferences[name] === value ? [] : [name])),
    ...Object.keys(preferences).filter((name) => !(name in wanted) && !HARMLESS.includes(name)),
  ];
}
