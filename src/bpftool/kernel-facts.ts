// What the kernel says of itself in its files: its version, its settings, its types.

import { SkepError } from '../base/error.js';
import type { Bpf } from '../bpf/bpf.js';
import { BpfError } from '../bpf/errno.js';
import { Btf } from '../btf/btf.js';
import type { CollectionSpec } from '../elf/spec.js';
import type { KernelFacts } from '../loader/externs.js';

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

/**
 * What an object asks of the kernel: its version, its settings and its types where the object refers to them. `customBtf`
 * stands for the kernel's types where members of structures are looked up.
 */
export async function kernelFacts(
  bpf: Bpf,
  spec: CollectionSpec,
  customBtf: Btf | undefined,
): Promise<Partial<KernelFacts>> {
  const facts: Partial<KernelFacts> = {};
  const release = await kernelRelease(bpf);
  if (release !== undefined) facts.kernelVersion = release;
  if (spec.externs.some(({ section }) => section === '.kconfig')) {
    const config = await kernelConfig(bpf);
    if (config !== undefined) facts.kconfig = config;
  }
  const needed =
    spec.externs.some(({ section }) => section === '.ksyms') ||
    spec.programs.some(
      ({ coreRelocations, attachTo }) => coreRelocations.length > 0 || attachTo !== undefined,
    ) ||
    spec.programs.some(({ structOps }) => structOps !== undefined);
  if (!needed) return facts;
  try {
    const btf = customBtf ?? (await kernelBtf(bpf));
    return btf === undefined ? facts : { ...facts, kernelBtf: btf };
  } catch (error) {
    // The loader says which program cannot do without.
    if (error instanceof SkepError) return facts;
    throw error;
  }
}
