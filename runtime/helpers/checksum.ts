// The internet checksum (RFC 1071) as Linux's helpers have it. The answer is folded to 16 bits, where 0 and
// 0xffff stand for the same sum: to give the one that Linux on x86 gives, the sum is kept as csum_partial
// keeps it there, in 64 bits with end-around carry.

/** The 32-bit sum of `size` bytes (zeros appended to a multiple of 8) and `sum`. */
function partial(at: usize, size: u32, sum: u32): u32 {
  let total = sum as u64;
  const end = at + size;
  while (at + 8 <= end) {
    const word = load<u64>(at);
    total += word;
    if (total < word) total++;
    at += 8;
  }
  let rest: u64 = 0;
  for (let shift: u64 = 0; at < end; at++, shift += 8) rest |= load<u8>(at) as u64 << shift;
  total += rest;
  if (total < rest) total++;
  return ((total + rotr(total, 32)) >> 32) as u32;
}

/** One's-complement sum of two 32-bit sums. */
export function add(a: u32, b: u32): u32 {
  const sum = a + b;
  return sum + u32(sum < a);
}

/**
 * bpf_csum_diff(from, from_size, to, to_size, seed) of Linux 6.18: `from` is taken away, `to` added. Any sizes will
 * do (older kernels want multiples of 4), and the result has 16 bits.
 */
export function bpf_csum_diff(cpu: usize, r1: u64, r2: u64, r3: u64, r4: u64, r5: u64): u64 {
  const fromSize = r2 as u32;
  const toSize = r4 as u32;
  let sum = r5 as u32;
  if (fromSize && toSize) sum = add(partial(r3 as usize, toSize, sum), ~partial(r1 as usize, fromSize, 0));
  else if (toSize) sum = partial(r3 as usize, toSize, sum);
  else if (fromSize) sum = ~partial(r1 as usize, fromSize, ~sum);
  return (sum + rotl(sum, 16)) >> 16;
}
