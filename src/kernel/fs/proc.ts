// The files under /proc and /sys that people and tools read.

import type { KernelMachine } from '../machine.js';
import { type SettingName, settingRules } from '../settings.js';
import { kallsyms } from '../symbols.js';
import { kernelTypes } from '../types/index.js';
import { kernelConfig } from './config.js';
import { type FileContent, MadeFile } from './nodes.js';

/** The kernel that the emulated one claims to be. */
const RELEASE = '6.18.0';

const utf8 = new TextEncoder();
const decoder = new TextDecoder();

const text = (make: () => string): FileContent => ({ read: () => utf8.encode(make()) });

function setting({ settings }: KernelMachine, name: SettingName): FileContent {
  return {
    ...text(() => `${settings.get(name)}\n`),
    write: (content, task) => settings.write(name, decoder.decode(content), task),
  };
}

/** Every file and its path. */
export function kernelFiles(machine: KernelMachine): [path: string, file: MadeFile][] {
  const { cpus } = machine;
  const cpuList = cpus === 1 ? '0\n' : `0-${cpus - 1}\n`;
  const version = `Linux version ${RELEASE} (skep) #1 SMP PREEMPT_DYNAMIC\n`;
  const names = Object.keys(settingRules) as SettingName[];
  return [
    ...names.map((name): [string, MadeFile] => [
      `/proc/sys/${name.replaceAll('.', '/')}`,
      new MadeFile(settingRules[name].mode, setting(machine, name)),
    ]),
    [
      '/proc/sys/kernel/ostype',
      new MadeFile(
        0o444,
        text(() => 'Linux\n'),
      ),
    ],
    [
      '/proc/sys/kernel/osrelease',
      new MadeFile(
        0o444,
        text(() => `${RELEASE}\n`),
      ),
    ],
    [
      '/proc/version',
      new MadeFile(
        0o444,
        text(() => version),
      ),
    ],
    ['/dev/kmsg', new MadeFile(0o644, { read: () => machine.log.show() })],
    ['/proc/kallsyms', new MadeFile(0o444, { read: () => symbols(machine) })],
    ['/proc/config.gz', new MadeFile(0o444, { read: () => kernelConfig(RELEASE) })],
    [
      '/proc/mounts',
      new MadeFile(
        0o444,
        text(() => mounts(machine)),
      ),
    ],
    [
      '/sys/devices/system/cpu/possible',
      new MadeFile(
        0o444,
        text(() => cpuList),
      ),
    ],
    [
      '/sys/kernel/btf/vmlinux',
      new MadeFile(0o444, { read: async () => (await kernelTypes()).bytes.slice() }),
    ],
  ];
}

/** Functions of programs are there as long as net.core.bpf_jit_kallsyms says so. */
async function symbols({ programs, settings }: KernelMachine): Promise<Uint8Array> {
  const shown = settings.get('net.core.bpf_jit_kallsyms') === 0 ? [] : [...programs.values()];
  const found = await Promise.all(shown.map((program) => program.symbols()));
  return utf8.encode(kallsyms(found.flat()));
}

function mounts({ files }: KernelMachine): string {
  const others = [
    ['sysfs', '/sys'],
    ['proc', '/proc'],
    ['debugfs', '/sys/kernel/debug'],
    ['tracefs', '/sys/kernel/tracing'],
  ];
  const bpf = files.bpfMounts.map((path) => ['bpf', path]);
  return [...others, ...bpf].map(([type, path]) => `${type} ${path} ${type} rw 0 0\n`).join('');
}
