// Iterators that programs keep on their stack: over a range of numbers, and over the bits of some words.
//
//   struct bpf_iter_num    +0 current (4)   +4 end (4)
//   struct bpf_iter_bits   +0 the word, or where a copy of the words is (8)   +8 number of bits (4)   +12 current (4)

import { pointerTo } from '../dynptr';
import { E2BIG, EFAULT, EINVAL } from '../maps/errno';
import { isReadable } from './memory';

/** BPF_MAX_LOOPS. */
const MAX_ROUNDS: i64 = 8 << 20;
/** BITS_ITER_NR_WORDS_MAX. */
const MAX_WORDS: u32 = 511;
const END: usize = 4;
const BITS: usize = 8;
const BIT: usize = 12;

@inline function error(errno: i32): u64 {
  return -errno as i64 as u64;
}

/** bpf_iter_num_new(it, start, end). */
export function kfunc_bpf_iter_num_new(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const it = r1 as usize;
  const start = r2 as i32;
  const end = r3 as i32;
  store<u64>(it, 0);
  if (start > end) return error(EINVAL);
  if ((end as i64) - (start as i64) > MAX_ROUNDS) return error(E2BIG);
  store<i32>(it, start - 1);
  store<i32>(it, end, END);
  return 0;
}

export function kfunc_bpf_iter_num_next(cpu: usize, r1: u64): u64 {
  const it = r1 as usize;
  const next = load<i32>(it) + 1;
  if (next >= load<i32>(it, END)) {
    store<u64>(it, 0);
    return 0;
  }
  store<i32>(it, next);
  return pointerTo(it);
}

export function kfunc_bpf_iter_num_destroy(cpu: usize, r1: u64): u64 {
  store<u64>(r1 as usize, 0);
  return 0;
}

/** bpf_iter_bits_new(it, words, nr_words). */
export function kfunc_bpf_iter_bits_new(cpu: usize, r1: u64, r2: u64, r3: u64): u64 {
  const it = r1 as usize;
  const words = r3 as u32;
  store<u64>(it, 0);
  store<u32>(it, 0, BITS);
  store<i32>(it, -1, BIT);
  if (!r2 || !words) return error(EINVAL);
  if (words > MAX_WORDS) return error(E2BIG);
  if (!isReadable(r2, words * 8)) return error(EFAULT);
  if (words == 1) store<u64>(it, load<u64>(r2 as usize));
  else {
    const copy = heap.alloc(words * 8);
    memory.copy(copy, r2 as usize, words * 8);
    store<u64>(it, copy as u64);
  }
  store<u32>(it, words * 64, BITS);
  return 0;
}

export function kfunc_bpf_iter_bits_next(cpu: usize, r1: u64): u64 {
  const it = r1 as usize;
  const bits = load<u32>(it, BITS);
  const words = bits == 64 ? it : (load<u64>(it) as usize);
  let bit = (load<i32>(it, BIT) + 1) as u32;
  while (bit < bits) {
    const rest = load<u64>(words + ((bit >> 6) << 3)) >> ((bit & 63) as u64);
    if (rest) {
      bit += ctz(rest) as u32;
      store<u32>(it, bit, BIT);
      return pointerTo(it + BIT);
    }
    bit = (bit | 63) + 1;
  }
  store<u32>(it, bits - u32(bits != 0), BIT);
  return 0;
}

export function kfunc_bpf_iter_bits_destroy(cpu: usize, r1: u64): u64 {
  const it = r1 as usize;
  if (load<u32>(it, BITS) > 64) heap.free(load<u64>(it) as usize);
  store<u32>(it, 0, BITS);
  return 0;
}
