// The emulated kernel's symbols: where its functions would lie. Nothing lies there; the numbers are what dumps show in calls,
// and /proc/kallsyms has their names. They are the same in every run.

import { helperNames } from '../bpf/helpers.js';
import { mapFunctions } from './verifier/rewrites/maps.js';
import type { KernelNames } from './verifier/rewrites/names.js';
import { helperSymbols } from './verifier/rewrites/symbols.js';
import { kfuncs } from './verifier/tables/kfuncs.js';

/** Where the kernel's code begins. */
const TEXT = 0xffffffff81000000n;
/** Bytes from one function to the next. */
const FUNCTION = 64n;
/** Where programs begin, how far the functions of one are from each other, and how far programs are. */
const PROGRAMS = 0xffffa00000000000n;
const OF_PROGRAM = 1n << 20n;
const PROGRAM = 1n << 28n;
/** Where its data lies that programs are given the address of. */
const DATA = 0xffffffff82000000n;

/** What calls count from. It is far from what is called: small numbers would be taken for those of helpers. */
const BASE = '__bpf_call_base';
const FIRST = 0x1000n;

/** What helpers and map types do not name. */
const others: readonly string[] = [
  'arch_bpf_timed_may_goto',
  'bpf_dynptr_from_skb_rdonly',
  ...[8, 16, 32].map((bits) => `bpf_skb_load_helper_${bits}_no_cache`),
];

const names = [
  ...new Set([...others, ...helperSymbols(helperNames), ...mapFunctions, ...kfuncs.map(({ name }) => name)]),
].sort();
const places = new Map([
  [BASE, TEXT],
  ...names.map((name, i) => [name, TEXT + FIRST + BigInt(i) * FUNCTION] as const),
]);

/** Objects whose addresses are loaded; each has one, whatever it is. */
const data = ['jiffies', 'cpu_number', 'prog_aux', 'struct_meta', 'arena', 'variable'];

export const kernelNames: KernelNames = {
  distance(name) {
    const place = places.get(name);
    if (place === undefined) throw new Error(`the kernel has no function ${name}`);
    return Number(place - TEXT);
  },
  address(name) {
    const address = DATA + BigInt(data.indexOf(name) + 1) * FUNCTION;
    return [Number(BigInt.asIntN(32, address)), Number(BigInt.asIntN(32, address >> 32n))];
  },
};

/** Where a function of a program would lie. */
export const functionAddress = (program: number, number: number): bigint =>
  PROGRAMS + BigInt(program) * PROGRAM + BigInt(number) * OF_PROGRAM;

/** A symbol as /proc/kallsyms has it. */
export interface KernelSymbol {
  readonly address: bigint;
  readonly name: string;
}

/** /proc/kallsyms: the kernel's own functions, and those of programs. */
export function kallsyms(programs: readonly KernelSymbol[]): string {
  const line = (address: bigint, type: string, name: string, module = '') =>
    `${address.toString(16).padStart(16, '0')} ${type} ${name}${module}\n`;
  let text = '';
  for (const [name, address] of places) text += line(address, 'T', name);
  for (const { address, name } of programs) text += line(address, 't', name, '\t[bpf]');
  return text;
}
