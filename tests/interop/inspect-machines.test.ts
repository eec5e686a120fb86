// SPDX-License-Identifier: Apache-2.0
/** Streams of whole PCs, saved by a stock QEMU here and now: every device of them is shown. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectStream } from '../../src-main/machine/inspect/inspect.ts';
import { MachineLink } from '../../src-main/manager/machines/link.ts';
import { inspectText } from '../../src-main/shells/cli/inspect-text.ts';
import { until } from '../support/machine.ts';
import { scratchFolder } from '../support/memory-image.ts';
import { QEMU, qemuVersion } from '../support/qemu.ts';

const machines = [
  {
    name: 'q35',
    args: ['-M', 'q35', '-smp', '2', '-m', '64M', '-nodefaults', '-vga', 'std'],
    devices: [
      ...['virtio-net-pci,netdev=n', 'qemu-xhci', 'usb-tablet', 'ich9-ahci,id=ahci2', 'intel-hda', 'virtio-rng-pci'],
      ...['virtio-blk-pci,drive=d'],
    ],
    more: ['-netdev', 'user,id=n', '-drive', 'if=none,id=d,file=null-co://,format=raw'],
    has: ['cpu', 'apic', 'ioapic', 'hpet', '0000:00:1f.0/ICH9LPC', '0000:00:1f.2/ich9_ahci', '0000:00:01.0/vga'],
  },
  {
    name: 'pc',
    args: ['-M', 'pc', '-m', '32M'],
    devices: [],
    more: ['-net', 'none'],
    has: ['PCIBUS', 'fdc', 'serial'],
  },
  {
    name: 'microvm',
    args: ['-M', 'microvm', '-m', '32M'],
    devices: [],
    more: [],
    has: ['cpu', 'fw_cfg', 'kvm-tpr-opt'],
  },
] as const;

/** Saves a machine that was never started; answers nothing when it is done. */
async function save(machine: (typeof machines)[number], folder: string, file: string): Promise<void> {
  const monitor = join(folder, 'qmp.sock');
  const devices = machine.devices.flatMap((device) => ['-device', device]);
  const control = ['-display', 'none', '-S', '-qmp', `unix:${monitor},server=on,wait=off`];
  const qemu = spawn(QEMU, [...machine.args, ...machine.more, ...devices, ...control], { stdio: 'ignore' });
  const ended = new Promise((resolve) => qemu.once('close', resolve));
  try {
    const link = await MachineLink.connect(monitor, AbortSignal.timeout(30_000));
    await link.execute('migrate', { uri: `exec:cat > ${file}` });
    const { info } = await until(
      'saved machine',
      () => link.migration(),
      ({ info }) => info.status === 'completed' || info.status === 'failed',
    );
    expect(info.status).toBe('completed');
    link.close();
  } finally {
    qemu.kill('SIGKILL');
    await ended;
  }
}

describe.runIf(qemuVersion() !== undefined)('a saved machine', () => {
  it.each(machines)('$name is shown with every field of every device', { timeout: 60_000 }, async (machine) => {
    await using scratch = await scratchFolder();
    const file = join(scratch.path, 'stream');
    await save(machine, scratch.path, file);
    const report = await inspectStream({ file });
    expect(report.error).toBeUndefined();
    expect(report.configuration?.machine).toContain(machine.name === 'pc' ? 'pc-i440fx' : machine.name);
    const devices = report.sections.filter(({ type }) => type === 'full');
    expect(devices.map(({ idstr }) => idstr)).toEqual(expect.arrayContaining([...machine.has]));
    expect(devices.filter(({ payload }) => payload?.decodedBy !== 'description').map(({ idstr }) => idstr)).toEqual([]);
    expect(report.vmdescription?.devices).toBeGreaterThanOrEqual(devices.length);
    const text = inspectText(report, false);
    for (const { idstr } of devices) expect(text).toContain(`\n${idstr}`);
    for (const { name, usedBytes, pages } of report.ram?.blocks ?? []) expect(pages, name).toBe(usedBytes / 4096);
    expect(report.notes).toEqual([]);
  });
});
