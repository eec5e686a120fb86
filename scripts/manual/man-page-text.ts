// SPDX-License-Identifier: Apache-2.0
// What the manual says around the commands.

type Entries = readonly (readonly [string, string])[];

interface Text {
  readonly intro: readonly string[];
  readonly exitStatus: Entries;
  readonly environment: Entries;
  readonly files: Entries;
  /** Command, and what it is for. */
  readonly examples: Entries;
  /** Page and chapter. */
  readonly seeAlso: Entries;
}

export const aroundTheCommands: Text = {
  intro: [
    'Godwit moves running virtual machines: its own KVM machines and any QEMU, by QMP and the migration stream of QEMU. ' +
      'A guest is never lost and never doubled: at every moment at most one end may run it.',
    'Without a command it opens the app: its window where there is a display, else in a browser, by a link that it prints.',
    'Sizes are written 4096, 256M or 1.5G; K, M, G and T are powers of 1024. With --json a command prints one JSON ' +
      'document on the standard output and nothing else. An error is one line on the standard error that says what is ' +
      'wrong and what to do.',
  ],
  exitStatus: [
    ['0', 'Done.'],
    ['1', 'Any other error.'],
    ['2', 'The command line cannot be meant: an unknown option, a bad value.'],
    ['3', 'demo and migrate: blocked, the guest cannot be moved.'],
    ['4', 'demo and migrate: the migration failed, or the guest did not continue.'],
    ['5', 'demo and migrate: cancelled.'],
  ],
  environment: [
    ['GODWIT_HOME', 'A folder for all of the files below, in place of the ones that the XDG variables name.'],
    ['XDG_DATA_HOME', 'Where the history is kept; else ~/.local/share.'],
    ['XDG_CONFIG_HOME', 'Where the settings are kept; else ~/.config.'],
    ['XDG_RUNTIME_DIR', 'Where the sockets of the machines are; else /tmp/godwit-UID.'],
    ['GODWIT_DEBUG', '1 adds the stack to an error.'],
    ['NO_COLOR', 'When it is set, no colours.'],
    ['DISPLAY, WAYLAND_DISPLAY', 'Whether there is a display to open a window or a browser on.'],
  ],
  files: [
    ['$XDG_DATA_HOME/godwit/godwit.db', 'The history of migrations, saved profiles and machines: one SQLite file.'],
    ['$XDG_CONFIG_HOME/godwit', 'Settings of the app.'],
    ['$XDG_RUNTIME_DIR/godwit', 'Sockets of the machines that run, in a folder that only you can enter.'],
    ['/dev/kvm', 'What runs virtual machines; you need to be allowed to read and write it.'],
  ],
  examples: [
    ['godwit doctor', 'Whether this box can do it, and what to do where it cannot:'],
    ['godwit demo', 'One live migration from end to end, with a guest that checks itself:'],
    [
      'godwit vm --qmp unix:/tmp/a.sock --memory 256M --guest demo\n' +
        'godwit vm --qmp unix:/tmp/b.sock --memory 256M --incoming defer\n' +
        'godwit migrate --from unix:/tmp/a.sock --to unix:/tmp/b.sock --uri unix:/tmp/move.sock --profile balanced',
      'Two machines by hand, each in a terminal of its own, and a move between them:',
    ],
    ['godwit history show "$(godwit history --json | jq -r \'.runs[0].id\')"', 'All of the latest run:'],
    ['godwit serve --port 0', 'The app in a browser, on a box without a display:'],
  ],
  seeAlso: [
    ['qemu-system-x86_64', '1'],
    ['userfaultfd', '2'],
  ],
};
