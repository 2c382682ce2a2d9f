// What the kernel at hand has for an object's externs: settings of `.kconfig`, variables and functions of `.ksyms`.

import { SkepError } from '../base/error.js';
import type { Btf } from '../btf/btf.js';
import { kconfigType } from '../elf/externs.js';
import type { CollectionSpec, ExternSpec } from '../elf/spec.js';

/** What is known of the kernel. */
export interface KernelFacts {
  /** `6.18.44`: what LINUX_KERNEL_VERSION says. */
  kernelVersion: string;
  /** The kernel's settings, as text like that of /proc/config.gz: lines `CONFIG_X=y`. */
  kconfig?: string;
  /** The kernel's types, variables and functions. */
  kernelBtf?: Btf;
  /** Addresses of the kernel's symbols, for externs without a type. */
  symbols?: ReadonlyMap<string, bigint>;
}

/** What a `.ksyms` extern resolves to: a BTF id, or an address; a missing weak one is at address 0. */
export type ResolvedExtern = { btfId: number } | { address: bigint };

const where = (extern: ExternSpec): string => `extern '${extern.name}'`;

/** KERNEL_VERSION(a, b, c) of `a.b.c`; the last part stops at 255, as in the kernel. */
export function kernelVersionCode(version: string): number {
  const [, a, b, c] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  if (a === undefined || b === undefined)
    throw new SkepError(`'${version}' is no kernel version such as 6.18.0`);
  return (Number(a) << 16) + (Number(b) << 8) + Math.min(Number(c ?? 0), 255);
}

/** Fills in `.kconfig` for this kernel. Throws a SkepError for a strong setting that the kernel does not have. */
export function kconfigContents(spec: CollectionSpec, contents: Uint8Array, facts: KernelFacts): Uint8Array {
  const filled = contents.slice();
  const settings = readSettings(facts.kconfig ?? '');
  for (const extern of spec.externs) {
    if (extern.section !== '.kconfig') continue;
    const value = settingOf(extern, settings, facts);
    if (value !== undefined) writeSetting(spec, extern, value, filled);
  }
  return filled;
}

function readSettings(text: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [, name, value] of text.matchAll(/^(CONFIG_\w+)=(.+)$/gm)) {
    if (name !== undefined && value !== undefined && !settings.has(name)) settings.set(name, value);
  }
  return settings;
}

function settingOf(
  extern: ExternSpec,
  settings: Map<string, string>,
  facts: KernelFacts,
): string | undefined {
  switch (extern.name) {
    case 'LINUX_KERNEL_VERSION':
      return String(kernelVersionCode(facts.kernelVersion));
    // Since 5.15 and, on x86-64, since 4.17.
    case 'LINUX_HAS_BPF_COOKIE':
    case 'LINUX_HAS_SYSCALL_WRAPPER':
      return '1';
  }
  const value = settings.get(extern.name);
  if (value !== undefined || extern.weak) return value;
  throw new SkepError('this kernel setting is not known, and the program cannot do without it', {
    where: where(extern),
    hint: 'Declare it __weak (it is then zero), or give the settings when loading (kconfig).',
  });
}

function writeSetting(spec: CollectionSpec, extern: ExternSpec, value: string, contents: Uint8Array): void {
  const type = spec.btf === undefined ? undefined : kconfigType(spec.btf, extern.typeId);
  const fail = (message: string): SkepError =>
    new SkepError(`is ${value}, ${message}`, { where: where(extern) });
  if (type === undefined) throw fail('but the type of the extern is not known');
  const { kind } = type;
  const target = contents.subarray(extern.offset, extern.offset + extern.size);
  if (/^[ynm]$/.test(value)) {
    if (kind === 'bool' && value !== 'm') target[0] = value === 'y' ? 1 : 0;
    else if (kind === 'tristate') target[0] = { y: 1, m: 2, n: 0 }[value] ?? 0;
    else if (kind === 'char') target[0] = value.charCodeAt(0);
    else throw fail(`which is no value of a ${kind}`);
    return;
  }
  if (value.startsWith('"')) {
    if (kind !== 'string' || !/^".*"$/.test(value)) throw fail(`which is no value of a ${kind}`);
    target.set(new TextEncoder().encode(value.slice(1, -1)).subarray(0, extern.size - 1));
    return;
  }
  if (kind === 'string' || kind === 'tristate') throw fail(`which is no value of a ${kind}`);
  if (!/^-?(?:0x[0-9a-f]+|\d+)$/i.test(value)) throw fail('which is no whole number');
  const number = value.startsWith('-') ? -BigInt(value.slice(1)) : BigInt(value);
  const bits = extern.size * 8;
  const fits = type.signed
    ? BigInt.asIntN(bits, number) === number
    : BigInt.asUintN(bits, number) === number && (kind !== 'bool' || number <= 1n);
  if (!fits) throw fail(`which does not fit in ${bits} bits`);
  for (let i = 0; i < extern.size; i++)
    target[i] = Number((BigInt.asUintN(bits, number) >> BigInt(8 * i)) & 0xffn);
}

/** What a `.ksyms` extern is in this kernel. Throws a SkepError for a strong one that is not there. */
export function resolveSymbol(spec: CollectionSpec, extern: ExternSpec, facts: KernelFacts): ResolvedExtern {
  if (extern.section === undefined) {
    throw new SkepError('is declared, but nowhere defined', {
      where: where(extern),
      hint: 'Define it, or declare it with __ksym or __kconfig, and compile with -g.',
    });
  }
  const { kernelBtf } = facts;
  const typed =
    extern.isFunction ||
    (spec.btf !== undefined && spec.btf.kind(spec.btf.skipModifiers(extern.typeId)) !== 'VOID');
  // A flavor, `name___v2`, is another declaration of the same symbol.
  const name = extern.name.replace(/(?<=[^_])___[^_].*$/, '');
  if (typed) {
    const btfId = kernelBtf?.findByName(name, extern.isFunction ? 'FUNC' : 'VAR');
    if (btfId !== undefined) return { btfId };
  } else {
    const address = facts.symbols?.get(extern.name);
    if (address !== undefined) return { address };
  }
  if (extern.weak) return { address: 0n };
  const what = extern.isFunction ? 'function' : 'variable';
  throw new SkepError(
    typed && kernelBtf === undefined
      ? `this kernel ${what} cannot be looked up: the kernel gives no BTF`
      : `this kernel has no such ${what}`,
    { where: where(extern), hint: 'Declare it __weak and test for it before its use.' },
  );
}
