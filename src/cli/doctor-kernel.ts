// The kernel of this machine: whether programs can run in it (`--kernel linux`, `skep compare`), and what it has.

import { createRequire } from 'node:module';
import { release } from 'node:os';
import { SkepError } from '../base/error.js';
import type { Bpf } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { mapTypeName, progTypeName } from '../bpf/types.js';
import {
  effectiveCapabilities,
  LinuxKernel,
  mounts,
  probeFeatures,
  readKernelBtf,
  sysctl,
  unprivilegedBpf,
} from '../linux/index.js';
import { tracefs } from '../linux/tracefs.js';
import type { Check, CheckGroup } from './doctor.js';
import { size } from './text.js';

export async function kernelChecks(): Promise<CheckGroup> {
  const group = { name: 'Linux', for: 'skep run --kernel linux, skep compare' };
  const linux = process.platform === 'linux';
  const system: Check = {
    name: 'kernel',
    ok: linux,
    detail: `${linux ? 'Linux' : process.platform} ${release()} (${process.arch})`,
    ...(linux
      ? {}
      : {
          advice:
            'Everything else runs in the emulated kernel; for this use Linux (a virtual machine will do).',
        }),
  };
  if (!linux) return { ...group, checks: [system, koffi()] };
  return {
    ...group,
    checks: [system, koffi(), rights(), ...(await bpf()), jit(), btf(), trace(), bpffs()],
  };
}

function koffi(): Check {
  try {
    const { version } = createRequire(import.meta.url)('koffi') as { version: string };
    return { name: 'koffi', ok: true, detail: version };
  } catch {
    return {
      name: 'koffi',
      ok: false,
      detail: 'not installed, or not for this machine',
      advice: 'npm install koffi',
    };
  }
}

/** What this process may do. */
function rights(): Check {
  const held = [...(effectiveCapabilities() ?? [])].map((name) => `CAP_${name}`);
  const ok = held.includes('CAP_SYS_ADMIN') || (held.includes('CAP_BPF') && held.includes('CAP_NET_ADMIN'));
  const who = process.getuid?.() === 0 ? 'root' : `user ${process.getuid?.() ?? '?'}`;
  const forbidden = unprivilegedBpf();
  const others =
    forbidden === undefined || forbidden === 'allowed' ? '' : `; BPF without them is ${forbidden}`;
  return {
    name: 'rights',
    ok,
    detail: `${who}, ${held.length > 0 ? `with ${held.join(', ')}` : `without CAP_BPF and CAP_NET_ADMIN${others}`}`,
    ...(ok ? {} : { advice: 'Run this with sudo, or give CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.' }),
  };
}

/** Whether bpf(2) answers, and what it has. */
async function bpf(): Promise<Check[]> {
  try {
    using kernel = new LinuxKernel();
    return [{ name: 'bpf(2)', ok: true, detail: 'a map could be made' }, ...(await features(kernel))];
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    const advice = error.hint ? { advice: error.hint } : {};
    return [{ name: 'bpf(2)', ok: false, detail: error.message, ...advice }];
  }
}

async function features(kernel: Bpf): Promise<Check[]> {
  const { mapTypes, progTypes, misc } = await probeFeatures(kernel);
  const count = <T extends number>(
    name: string,
    types: ReadonlyMap<T, boolean>,
    word: (type: number) => string | undefined,
  ): Check => {
    const without = [...types].filter(([, there]) => !there).map(([type]) => word(type) ?? String(type));
    const list = without.length > 0 ? `; without ${without.join(', ')}` : '';
    // Some always lack: they are for hardware or settings of their own.
    return {
      name,
      ok: without.length < types.size,
      detail: `${types.size - without.length} of ${types.size}${list}`,
    };
  };
  const isa = misc.isaV4 ? 'v4' : misc.isaV3 ? 'v3' : misc.isaV2 ? 'v2' : 'v1';
  return [
    count('map types', mapTypes, mapTypeName),
    count('program types', progTypes, progTypeName),
    { name: 'instructions', ok: true, detail: `up to -mcpu=${isa}${misc.boundedLoops ? ', loops' : ''}` },
  ];
}

function jit(): Check {
  const setting = sysctl('net.core.bpf_jit_enable');
  // It can be read only in the network namespace of the host, by who may change it.
  if (setting === undefined) return { name: 'JIT', ok: true, detail: 'its setting cannot be read here' };
  const ok = setting !== '0';
  return {
    name: 'JIT',
    ok,
    detail: ok ? 'on' : 'off: programs are interpreted',
    ...(ok ? {} : { advice: 'sysctl net.core.bpf_jit_enable=1' }),
  };
}

function btf(): Check {
  try {
    return { name: 'BTF', ok: true, detail: `/sys/kernel/btf/vmlinux, ${size(readKernelBtf().length)}` };
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    return {
      name: 'BTF',
      ok: false,
      detail: `${error.message}: programs with CO-RE relocations cannot be loaded`,
      advice: error.hint,
    };
  }
}

/** Whether what programs print can be read. */
function trace(): Check {
  try {
    const place = tracefs();
    return {
      name: 'trace',
      ok: true,
      detail: place.startsWith('/proc/') ? 'tracefs, mounted for us alone' : place,
    };
  } catch (error) {
    const detail = error instanceof BpfError ? error.message : 'koffi is missing';
    return {
      name: 'trace',
      ok: false,
      detail,
      advice: 'As root: mount -t tracefs tracefs /sys/kernel/tracing',
    };
  }
}

/** Where pins live. */
function bpffs(): Check {
  const [place] = mounts('bpf');
  return {
    name: 'bpffs',
    ok: place !== undefined,
    detail: place ?? 'not mounted: nothing can be pinned',
    ...(place === undefined ? { advice: 'As root: mount -t bpf bpf /sys/fs/bpf' } : {}),
  };
}
