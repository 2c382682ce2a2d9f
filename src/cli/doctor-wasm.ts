// What of WebAssembly this host has: for each feature the smallest module that is valid only with it.

export interface WasmFeature {
  /** The proposal's word. */
  readonly name: string;
  /** What Skep uses it for; undefined for what it does not need yet. */
  readonly usedFor?: string;
  readonly module: Uint8Array<ArrayBuffer>;
}

const section = (id: number, ...content: number[]): number[] => [id, content.length, ...content];

/** A module with one function `() -> results`; `code` is its body without the final end. */
function moduleOf(
  code: readonly number[],
  parts: { results?: readonly number[]; table?: true; memory?: readonly number[] } = {},
): Uint8Array<ArrayBuffer> {
  const { results = [], table, memory } = parts;
  const body = [0, ...code, 0x0b];
  return new Uint8Array([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, 1, 0x60, 0, results.length, ...results),
    ...section(3, 1, 0),
    ...(table ? section(4, 1, 0x70, 0, 0) : []),
    ...(memory ? section(5, 1, ...memory) : []),
    ...section(10, 1, body.length, ...body),
  ]);
}

const I32 = 0x7f;
const ZERO = [0x41, 0];
const DROP = 0x1a;

export const wasmFeatures: readonly WasmFeature[] = [
  {
    name: 'tail calls',
    usedFor: 'bpf_tail_call',
    // i32.const 0; return_call_indirect (type 0)
    module: moduleOf([...ZERO, 0x13, 0, 0], { table: true }),
  },
  {
    name: 'sign extension',
    usedFor: 'arithmetic on parts of a register',
    // i32.const 0; i32.extend8_s; drop
    module: moduleOf([...ZERO, 0xc0, DROP]),
  },
  {
    name: 'bulk memory',
    usedFor: 'laying out packets, copying values',
    // three times i32.const 0; memory.fill
    module: moduleOf([...ZERO, ...ZERO, ...ZERO, 0xfc, 0x0b, 0], { memory: [0, 1] }),
  },
  {
    name: 'multi-value',
    module: moduleOf([...ZERO, ...ZERO], { results: [I32, I32] }),
  },
  {
    name: 'SIMD',
    // v128.const 0; drop
    module: moduleOf([0xfd, 0x0c, ...new Array<number>(16).fill(0), DROP]),
  },
  {
    name: 'threads',
    // i32.const 0; i32.atomic.load; drop
    module: moduleOf([...ZERO, 0xfe, 0x10, 2, 0, DROP], { memory: [3, 1, 1] }),
  },
];

export const hasWasmFeature = ({ module }: WasmFeature): boolean =>
  typeof WebAssembly === 'object' && WebAssembly.validate(module);

/** Whether 64-bit integers cross between JavaScript and WebAssembly as BigInts. */
export function hasBigInts(): boolean {
  try {
    return new WebAssembly.Global({ value: 'i64' }, 1n).value === 1n;
  } catch {
    return false;
  }
}
