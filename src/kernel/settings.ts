// What users can set in the emulated kernel by files under /proc/sys (Linux: net/core/sysctl_net_core.c,
// kernel/bpf/syscall.c, and proc_dointvec_minmax for what a number looks like).

import { BpfError, Errno } from '../bpf/errno.js';
import type { Task } from './machine.js';

/** The settings and what they are at first. */
export interface Settings {
  /** 0: programs are interpreted; 1: compiled; 2: compiled, and the code is written to the kernel's log. */
  'net.core.bpf_jit_enable': number;
  /** 1: constants of programs that users without rights load are blinded; 2: of all programs. */
  'net.core.bpf_jit_harden': number;
  'net.core.bpf_jit_kallsyms': number;
  /** Bytes of compiled code for users without rights. */
  'net.core.bpf_jit_limit': number;
  'kernel.bpf_stats_enabled': number;
  /** 0: users without rights may load the harmless types; 2: not until root says so; 1: never again. */
  'kernel.unprivileged_bpf_disabled': number;
}
export type SettingName = keyof Settings;

interface Rule {
  readonly least: number;
  readonly most: number;
  /** Of the file. */
  readonly mode: number;
}

export const settingRules: Readonly<Record<SettingName, Rule>> = {
  'net.core.bpf_jit_enable': { least: 0, most: 2, mode: 0o644 },
  'net.core.bpf_jit_harden': { least: 0, most: 2, mode: 0o600 },
  'net.core.bpf_jit_kallsyms': { least: 0, most: 1, mode: 0o600 },
  'net.core.bpf_jit_limit': { least: 1, most: 1056964608, mode: 0o600 },
  'kernel.bpf_stats_enabled': { least: 0, most: 1, mode: 0o644 },
  'kernel.unprivileged_bpf_disabled': { least: 0, most: 2, mode: 0o644 },
};

export const defaultSettings: Readonly<Settings> = {
  'net.core.bpf_jit_enable': 1,
  'net.core.bpf_jit_harden': 0,
  'net.core.bpf_jit_kallsyms': 1,
  'net.core.bpf_jit_limit': 528482304,
  'kernel.bpf_stats_enabled': 0,
  'kernel.unprivileged_bpf_disabled': 2,
};

/** A number in the kernel's words: decimal, 0x or octal, with a sign; what follows a blank is not read. */
export function parseSetting(text: string): number | undefined {
  const digits = /^[ \t\n]*(-?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)(?:[ \t\n]|$)/.exec(text);
  if (!digits) return undefined;
  const [, sign, word = ''] = digits;
  const value = /^0[0-7]/.test(word) ? Number.parseInt(word, 8) : Number(word);
  return sign ? -value : value;
}

export class KernelSettings {
  readonly #values: Settings;
  /** Called after each change. */
  readonly #changed: (name: SettingName, value: number) => void;

  constructor(values: Partial<Settings>, changed: (name: SettingName, value: number) => void) {
    this.#values = { ...defaultSettings, ...values };
    this.#changed = changed;
  }

  get(name: SettingName): number {
    return this.#values[name];
  }

  /** What is written to the setting's file. EINVAL for what is no number or out of range, EPERM for whoever may not. */
  write(name: SettingName, text: string, task: Task): void {
    const { least, most } = settingRules[name];
    if (task.uid !== 0) throw new BpfError('write', Errno.EPERM, `${name}: only root may`);
    const value = parseSetting(text);
    if (value === undefined || value < least || value > most) {
      throw new BpfError(
        'write',
        Errno.EINVAL,
        `${name}: ${JSON.stringify(text.trim())} is not ${least} to ${most}`,
      );
    }
    const final = name === 'kernel.unprivileged_bpf_disabled' && this.get(name) === 1;
    if (final && value !== 1) {
      throw new BpfError('write', Errno.EPERM, `${name}: 1 stays until the kernel is started again`);
    }
    this.#values[name] = value;
    this.#changed(name, value);
  }
}
