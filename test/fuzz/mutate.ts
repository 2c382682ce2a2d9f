// A seeded mutator of bytes for fuzz tests: the same seed gives the same inputs on every machine. It needs nothing
// but the language, so that scripts/fuzz.mjs can run it too.

/** A generator of 32-bit numbers (xorshift32). */
export interface Random {
  /** A whole number from 0 up to, not including, `bound`. */
  below(bound: number): number;
}

export function seededRandom(seed: number): Random {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let i = 0; i < 8; i++) next();
  return { below: (bound) => (bound <= 0 ? 0 : next() % bound) };
}

/** Numbers that programs get wrong. */
const INTERESTING = [
  0n,
  1n,
  2n,
  7n,
  8n,
  0x7fn,
  0x80n,
  0xffn,
  0x100n,
  0x7fffn,
  0x8000n,
  0xff00n,
  0xffffn,
  0x10000n,
  0x7fffffffn,
  0x80000000n,
  0xfffffff8n,
  0xffffffffn,
  0x100000000n,
  0x7fffffffffffffffn,
  0x8000000000000000n,
  0xfffffffffffffff8n,
  0xffffffffffffffffn,
];

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const flipBit: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
};

const setByte: Mutation = (bytes, random) => {
  bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
};

/** An integer of 1, 2, 4 or 8 bytes, mostly aligned, becomes an interesting one or a near neighbour of itself. */
const setInteger: Mutation = (bytes, random) => {
  const size = [1, 2, 4, 8][random.below(4)] ?? 1;
  if (bytes.length < size) return bytes;
  let at = random.below(bytes.length - size + 1);
  if (random.below(4) > 0) at -= at % size;
  const littleEndian = random.below(8) > 0;
  const position = (i: number): number => at + (littleEndian ? i : size - 1 - i);
  let value = INTERESTING[random.below(INTERESTING.length)] ?? 0n;
  if (random.below(3) === 0) {
    value = 0n;
    for (let i = 0; i < size; i++) value |= BigInt(bytes[position(i)] ?? 0) << BigInt(8 * i);
    value += BigInt(random.below(33) - 16);
  }
  value = BigInt.asUintN(size * 8, value);
  for (let i = 0; i < size; i++) bytes[position(i)] = Number((value >> BigInt(8 * i)) & 0xffn);
  return bytes;
};

const truncate: Mutation = (bytes, random) => bytes.subarray(0, random.below(bytes.length));

/** A piece of this or of another input over some other place. */
const splice: Mutation = (bytes, random, other) => {
  const from = random.below(2) === 0 ? bytes : other;
  const size = 1 + random.below(Math.min(64, from.length));
  const source = random.below(from.length - size + 1);
  const target = random.below(bytes.length);
  bytes.set(from.slice(source, source + Math.min(size, bytes.length - target)), target);
  return bytes;
};

const insertOrRemove: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  const size = 1 + random.below(16);
  const insert = random.below(2) === 0;
  const rest = bytes.subarray(insert ? at : Math.min(bytes.length, at + size));
  const result = new Uint8Array(at + (insert ? size : 0) + rest.length);
  result.set(bytes.subarray(0, at));
  result.set(rest, at + (insert ? size : 0));
  return result;
};

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  setInteger,
  setInteger,
  setInteger,
  setInteger,
  splice,
  truncate,
  insertOrRemove,
];

/** One of the inputs with one to eight mutations; no input is changed itself. */
export function mutate(inputs: readonly Uint8Array[], random: Random): Uint8Array {
  const pick = (): Uint8Array => inputs[random.below(inputs.length)] ?? new Uint8Array(0);
  let bytes: Uint8Array = pick().slice();
  const other = pick();
  // Most often a few: many at once seldom get past the first check.
  const count = 1 + random.below(1 + random.below(8));
  for (let i = 0; i < count && bytes.length > 0 && other.length > 0; i++) {
    const mutation = MUTATIONS[random.below(MUTATIONS.length)] ?? flipBit;
    bytes = mutation(bytes, random, other);
  }
  return bytes;
}
