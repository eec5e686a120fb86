// SPDX-License-Identifier: Apache-2.0
// node scripts/boot.mjs SCRIPT [ARGUMENT…]
// Makes a checkout ready (npm packages, native addon, demo guest), each only when its inputs changed, and hands over to
// SCRIPT on the Node 24 in node_modules. Plain JavaScript and built-in modules only: it runs before anything is there.
// What it has to say goes to stderr, so that the output of SCRIPT stays clean.
const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  fail(`Godwit needs Node 20 or newer to set itself up; this is Node ${process.versions.node}.`);
} else if (process.platform !== 'linux' || process.arch !== 'x64') {
  fail(`Godwit runs on Linux on x86-64 only (it uses KVM); this is ${process.platform} on ${process.arch}.`);
} else {
  // Imported only now: an older Node may not even be able to parse these files.
  const { main } = await import('./setup/main.mjs');
  process.exitCode = await main(process.argv.slice(2));
}

function fail(sentence) {
  console.error(`godwit: ${sentence}`);
  process.exitCode = 1;
}
