// What the kernel says of itself in its files: its version, its settings, its types.

import { SkepError } from '../base/error.js';
import type { Bpf } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { Btf } from '../btf/btf.js';
import type { CollectionSpec, ExternSpec } from '../elf/spec.js';
import type { KernelFacts } from './externs.js';

/** A file of the kernel, or undefined when it cannot be read. */
export async function kernelFile(bpf: Bpf, path: string): Promise<Uint8Array | undefined> {
  try {
    return await bpf.readFile(path);
  } catch (error) {
    if (error instanceof BpfError) return undefined;
    throw error;
  }
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** `6.18.44`; undefined when the kernel does not say. */
export async function kernelRelease(bpf: Bpf): Promise<string | undefined> {
  const file = await kernelFile(bpf, '/proc/sys/kernel/osrelease');
  return file && text(file).trim();
}

async function gunzip(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The settings that the kernel was built with, `CONFIG_X=y` a line; undefined when they are nowhere to be read. */
export async function kernelConfig(bpf: Bpf): Promise<string | undefined> {
  const release = await kernelRelease(bpf);
  const places = [...(release === undefined ? [] : [`/boot/config-${release}`]), '/proc/config.gz'];
  for (const place of places) {
    const file = await kernelFile(bpf, place);
    if (file === undefined) continue;
    return text(file[0] === 0x1f && file[1] === 0x8b ? await gunzip(file) : file);
  }
  return undefined;
}

/** The kernel's own types; undefined when it does not give them. */
export async function kernelBtf(bpf: Bpf): Promise<Btf | undefined> {
  const file = await kernelFile(bpf, '/sys/kernel/btf/vmlinux');
  return file && Btf.parse(file);
}

const WHOLE_LINE = /^([0-9a-f]+) \S (\S+)/;

/** Addresses of the kernel's own symbols, those of modules left out; undefined when it does not tell them. */
async function kernelSymbols(bpf: Bpf): Promise<ReadonlyMap<string, bigint> | undefined> {
  const file = await kernelFile(bpf, '/proc/kallsyms');
  if (file === undefined) return undefined;
  const symbols = new Map<string, bigint>();
  for (const line of text(file).split('\n')) {
    const [, address, name] = WHOLE_LINE.exec(line) ?? [];
    if (address === undefined || name === undefined || line.includes('\t')) continue;
    if (!symbols.has(name)) symbols.set(name, BigInt(`0x${address}`));
  }
  return symbols;
}

const isSymbol = ({ section }: ExternSpec): boolean => section === '.ksyms';

/** Whether some part of the object is written for the types of a kernel. */
const refersToTypes = (spec: CollectionSpec): boolean =>
  spec.externs.some(isSymbol) ||
  spec.programs.some(
    ({ coreRelocations, attachTo, structOps }) =>
      coreRelocations.length > 0 || attachTo !== undefined || structOps !== undefined,
  );

/** Externs without a type, which are addresses. */
const untyped = (spec: CollectionSpec, extern: ExternSpec): boolean =>
  isSymbol(extern) &&
  !extern.isFunction &&
  (spec.btf === undefined || spec.btf.kind(spec.btf.skipModifiers(extern.typeId)) === 'VOID');

/**
 * What an object asks of the kernel: its version, its settings, its types and symbols, each where the object refers to it and
 * `known` does not say it already.
 */
export async function kernelFacts(
  bpf: Bpf,
  spec: CollectionSpec,
  known: Partial<KernelFacts> = {},
): Promise<Partial<KernelFacts>> {
  const facts: Partial<KernelFacts> = {};
  if (known.kernelVersion === undefined) {
    const release = await kernelRelease(bpf);
    if (release !== undefined) facts.kernelVersion = release;
  }
  if (known.kconfig === undefined && spec.externs.some(({ section }) => section === '.kconfig')) {
    const config = await kernelConfig(bpf);
    if (config !== undefined) facts.kconfig = config;
  }
  if (known.symbols === undefined && spec.externs.some((extern) => untyped(spec, extern))) {
    const symbols = await kernelSymbols(bpf);
    if (symbols !== undefined) facts.symbols = symbols;
  }
  if (known.kernelBtf !== undefined || !refersToTypes(spec)) return facts;
  try {
    const btf = await kernelBtf(bpf);
    return btf === undefined ? facts : { ...facts, kernelBtf: btf };
  } catch (error) {
    // The loader says which program cannot do without.
    if (error instanceof SkepError) return facts;
    throw error;
  }
}
