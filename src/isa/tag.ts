// The tag of a program, the name under which Linux shows it: the first eight bytes of a hash over its instructions
// as they are loaded (little-endian slots; the main program, then its subprograms), with the immediates of every
// instruction that refers to a map set to zero, because a file descriptor says nothing about the program.
// Linux hashes by SHA-1 before 6.18 and by SHA-256 since (kernel/bpf/core.c, bpf_prog_calc_tag).

import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { isMapReference } from './classify.js';
import { decode } from './decode.js';
import { encodeUnchecked } from './encode.js';
import type { Instruction } from './instruction.js';

/** The hash that makes a tag: `sha1` before Linux 6.18, `sha256` since. */
export type TagAlgorithm = 'sha1' | 'sha256';

const HASHES = { sha1, sha256 } as const;

/**
 * The tag as 16 hexadecimal digits. `program` is everything that is loaded, subprograms included,
 * as instructions or as little-endian bytes; bytes that do not decode throw a SkepError.
 */
export function programTag(program: Uint8Array | readonly Instruction[], algorithm: TagAlgorithm): string {
  const insns = program instanceof Uint8Array ? decode(program) : program;
  const masked = insns.map((insn) => (isMapReference(insn) ? { ...insn, imm: 0, immHigh: 0 } : insn));
  const digest = HASHES[algorithm](encodeUnchecked(masked));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
