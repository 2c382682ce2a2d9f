// The types of the emulated kernel: BTF of Linux 6.18 (vmlinux.btf.gz, made by scripts/kernel-btf.mjs). It is a megabyte,
// so it is loaded when the first program asks for it. Ids are its own: a machine's kernel has others.

import { Btf } from '../../btf/index.js';

let loaded: Promise<Btf> | undefined;

/**
 * The kernel's BTF: all structures, the tracepoints (`btf_trace_*`), LSM hooks (`bpf_lsm_*`), iterators (`bpf_iter_*`),
 * kernel functions for programs (declaration tag `bpf_kfunc`), and the functions that programs usually trace. It is
 * unpacked and parsed once.
 */
export function kernelTypes(): Promise<Btf> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Btf> {
  const { vmlinuxBase64 } = await import('./vmlinux.generated.js');
  const text = atob(vmlinuxBase64);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return Btf.parse(new Uint8Array(await new Response(unpacked).arrayBuffer()));
}
