// The kernel of this machine: whether programs can run in it (`--kernel linux`, `skep compare`), and what it has.

import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { SkepError } from '../base/error.js';
import { BpfError } from '../bpf/errno.js';
import { LinuxKernel } from '../linux/index.js';
import { tracefs } from '../linux/tracefs.js';
import type { Check, CheckGroup } from './doctor.js';
import { size } from './text.js';

const VMLINUX = '/sys/kernel/btf/vmlinux';

/** Capabilities that matter here (linux/capability.h), by their bit. */
const CAPABILITIES = { CAP_NET_ADMIN: 12, CAP_SYS_ADMIN: 21, CAP_PERFMON: 38, CAP_BPF: 39 } as const;

export function kernelChecks(): CheckGroup {
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
  return { ...group, checks: [system, koffi(), rights(), bpf(), jit(), btf(), trace()] };
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

/** What this process may do: the bits of CapEff in /proc/self/status. */
function rights(): Check {
  const status = textOf('/proc/self/status') ?? '';
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const held = Object.entries(CAPABILITIES).filter(([, bit]) => (effective >> BigInt(bit)) & 1n);
  const names = held.map(([name]) => name);
  const ok =
    names.includes('CAP_SYS_ADMIN') || (names.includes('CAP_BPF') && names.includes('CAP_NET_ADMIN'));
  const who = process.getuid?.() === 0 ? 'root' : `user ${process.getuid?.() ?? '?'}`;
  const disabled = textOf('/proc/sys/kernel/unprivileged_bpf_disabled')?.trim();
  const others = disabled === undefined || disabled === '0' ? '' : '; unprivileged BPF is switched off';
  return {
    name: 'rights',
    ok,
    detail: `${who}, ${names.length > 0 ? `with ${names.join(', ')}` : `without CAP_BPF and CAP_NET_ADMIN${others}`}`,
    ...(ok ? {} : { advice: 'Run this with sudo, or give CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.' }),
  };
}

/** Whether bpf(2) answers. */
function bpf(): Check {
  try {
    new LinuxKernel()[Symbol.dispose]();
    return { name: 'bpf(2)', ok: true, detail: 'a map could be made' };
  } catch (error) {
    if (!(error instanceof SkepError)) throw error;
    return {
      name: 'bpf(2)',
      ok: false,
      detail: error.message,
      ...(error.hint ? { advice: error.hint } : {}),
    };
  }
}

function jit(): Check {
  const setting = textOf('/proc/sys/net/core/bpf_jit_enable')?.trim();
  // The file is there only for those who may change it, and in the network namespace of the host.
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
    return { name: 'BTF', ok: true, detail: `${VMLINUX}, ${size(statSync(VMLINUX).size)}` };
  } catch {
    return {
      name: 'BTF',
      ok: false,
      detail: `there is no ${VMLINUX}: programs with CO-RE relocations cannot be loaded`,
      advice: 'Use a kernel that was built with CONFIG_DEBUG_INFO_BTF.',
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

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
