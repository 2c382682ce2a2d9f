// What Linux says of itself in files rather than through bpf(2).

import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { gunzipSync } from 'node:zlib';
import { SkepError } from '../base/error.js';
import { Clock, type Native } from './native.js';

/** The number of CPUs in a list such as `0-3,8`. */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.trim().split(',')) {
    const parts = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(parts?.[1]);
    const last = Number(parts?.[2] ?? first);
    if (!parts || last < first) throw new SkepError(`${JSON.stringify(list)} is no list of CPUs`);
    count += last - first + 1;
  }
  return count;
}

/** Possible CPUs: slots in a per-CPU value. */
export const possibleCpus = (): number => countCpus(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));

/** A line of /proc/self/fdinfo as a number; undefined when the kernel does not write it. */
export function fdinfo(fd: number, name: string): number | undefined {
  const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  const value = new RegExp(`^${name}:\\s*(\\d+)`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Seconds since the epoch of a moment in nanoseconds since the machine started (CLOCK_BOOTTIME). */
export const wallClock = ({ clock }: Native, sinceBoot: bigint): number =>
  Number((clock(Clock.Real) - clock(Clock.Boot) + sinceBoot) / 1_000_000_000n);

/** A setting of the kernel by its name (`net.core.bpf_jit_enable`); undefined when it is not there or not for this user. */
export function sysctl(name: string): string | undefined {
  return readText(`/proc/sys/${name.replaceAll('.', '/')}`);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** How the running kernel was built: `CONFIG_BPF` and its like, with `y`, `m` or a value; undefined when it does not say. */
export function kernelConfig(): ReadonlyMap<string, string> | undefined {
  const text = compressedConfig() ?? readText(`/boot/config-${release()}`);
  if (text === undefined) return undefined;
  const lines = text.matchAll(/^(CONFIG_\w+)=(?:"(.*)"|(.*))$/gm);
  return new Map(Array.from(lines, ([, name = '', quoted, plain = '']) => [name, quoted ?? plain]));
}

function compressedConfig(): string | undefined {
  try {
    return gunzipSync(readFileSync('/proc/config.gz')).toString('utf8');
  } catch {
    return undefined;
  }
}

/** Capabilities that commands of bpf(2) ask for, by their number (<linux/capability.h>). */
const capabilities = { NET_ADMIN: 12, SYS_ADMIN: 21, PERFMON: 38, BPF: 39 } as const;
export type Capability = keyof typeof capabilities;

/** Which of them this process has; undefined where the kernel does not say. */
export function effectiveCapabilities(): ReadonlySet<Capability> | undefined {
  const bits = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1];
  if (bits === undefined) return undefined;
  const mask = BigInt(`0x${bits}`);
  const names = Object.keys(capabilities) as Capability[];
  return new Set(names.filter((name) => (mask >> BigInt(capabilities[name])) & 1n));
}

/** Where file systems of a type are mounted: `bpf`, `cgroup2`, `tracefs`. */
export function mounts(type: string): string[] {
  const lines = (readText('/proc/self/mounts') ?? '').split('\n').map((line) => line.split(' '));
  // Blanks in paths are written as octal numbers.
  return lines
    .filter(([, , fs]) => fs === type)
    .map(([, path = '']) =>
      path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    );
}

/** LINUX_VERSION_CODE of the running kernel: 8 bits each for major, minor and patch level. */
export function kernelVersion(): number {
  const [major = 0, minor = 0, patch = 0] = release().split(/[.-]/).map(Number);
  return (major << 16) | (minor << 8) | Math.min(patch || 0, 255);
}
