// SPDX-License-Identifier: Apache-2.0
// A small app for the tests of the stand-in. Its window, menu and handlers are what the tests ask about.
/* global Response */
import { app, BrowserWindow, ipcMain, Menu, protocol, session, utilityProcess } from 'electron';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const here = import.meta.dirname;
const events = [];
globalThis.sample = { events, isReadyAtStart: app.isReady(), argv: [...process.argv] };

app.enableSandbox();
if (process.env.SAMPLE_USER_DATA) app.setPath('userData', process.env.SAMPLE_USER_DATA);
protocol.registerSchemesAsPrivileged([
  { scheme: 'sample', privileges: { standard: true, secure: true, supportFetchAPI: true } },
]);

const asset = (name, type, headers = {}) =>
  new Response(readFileSync(join(here, name)), { headers: { 'content-type': type, ...headers } });

async function answer(request) {
  const { pathname, host } = new URL(request.url);
  if (pathname === '/echo') return Response.json({ url: request.url, host, body: await request.text() });
  if (pathname === '/broken') throw new Error('broken on purpose');
  const policy = {
    'content-security-policy':
      "default-src 'self'; style-src 'unsafe-inline'; frame-src sample://app; connect-src 'self' https: ws:",
  };
  if (pathname === '/page.js') return asset('page.js', 'text/javascript');
  return asset('page.html', 'text/html', policy);
}

function openWindow(preload = join(here, 'preload.cjs')) {
  const window = new BrowserWindow({
    width: 640,
    height: 480,
    x: 20,
    y: 30,
    show: false,
    webPreferences: { preload, sandbox: true, nodeIntegrationInSubFrames: true },
  });
  window.once('ready-to-show', () => window.show());
  window.webContents.setWindowOpenHandler(({ url }) => {
    events.push(['window-open', url]);
    return { action: 'deny' };
  });
  window.webContents.on('will-navigate', (event, url) => {
    events.push(['will-navigate', url]);
    event.preventDefault();
  });
  window.webContents.on('render-process-gone', (_event, details) => events.push(['gone', details]));
  window.on('resize', () => events.push(['resize', window.getBounds()]));
  const loaded = window.loadURL('sample://app/index.html');
  return { window, loaded };
}
globalThis.sample.openWindow = openWindow;
globalThis.sample.forkUtility = (args, options) => utilityProcess.fork(join(here, 'utility.mjs'), args, options);

function buildMenu() {
  const click = (item) => events.push(['menu', item.id]);
  const submenu = [
    { id: 'one', label: 'One', accelerator: 'CmdOrCtrl+1', click },
    { id: 'shifted', label: 'Shifted', accelerator: 'Ctrl+Shift+X', click },
    { id: 'help-key', label: 'Help', accelerator: 'F2', click },
    { id: 'off', label: 'Off', accelerator: 'CmdOrCtrl+2', enabled: false, click },
    { id: 'full', role: 'togglefullscreen' },
    { id: 'quit', role: 'quit' },
  ];
  return Menu.buildFromTemplate([{ label: 'File', submenu }, { role: 'editMenu' }]);
}

for (const name of ['before-quit', 'will-quit', 'quit']) app.on(name, () => process.stdout.write(`${name}\n`));
if (!app.requestSingleInstanceLock()) {
  app.quit();
} else {
  app.on('second-instance', (_event, argv, cwd) => events.push(['second-instance', argv, cwd]));
  ipcMain.handle('echo', (_event, ...args) => args);
  ipcMain.handle('fail', () => {
    throw new RangeError('out of the sample');
  });
  ipcMain.handle('answer-function', () => () => 1);
  ipcMain.handle('who', ({ senderFrame }) => ({
    url: senderFrame.url,
    origin: senderFrame.origin,
    isMain: senderFrame.parent === null,
    top: senderFrame.top.url,
  }));
  ipcMain.on('note', (event, text) => event.reply('noted', `${text}!`));
  app.whenReady().then(start);
}

async function start() {
  session.defaultSession.setPermissionRequestHandler((_contents, _permission, decide) => decide(false));
  protocol.handle('sample', answer);
  Menu.setApplicationMenu(buildMenu());
  await openWindow().loaded;
}
