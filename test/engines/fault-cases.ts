// Programs that are wrong in one way each, or nearly, with what they come to: what the JIT's analysis must not believe.

export const BEGIN = `
  r6 = r1
  r7 = *(u32 *)(r6 + 0)
  r8 = *(u32 *)(r6 + 4)
  r9 = 0
`;

/** A lookup of key `key`; r0 is what it finds. */
export const lookup = (map: string, key = 0) => `
  *(u32 *)(r10 - 4) = ${key}
  r2 = r10
  r2 += -4
  r1 = map ${map}
  call 1
`;

/** Programs by what is special about them; `faults` says on how many of the packets they must not come to an end. */
export const CASES: Record<
  string,
  { readonly text: string; readonly faults: number | 'some' | 'none' | 'all' }
> = {
  'a null that a join mixed with a lookup is not non-null because the lookup is': {
    faults: 'all',
    text: `${BEGIN}
      ${lookup('array')}
      r7 = r0
      if r9 == 0 goto mix
      goto go
    mix:
      r7 = 0
    go:
      if r0 == 0 goto out
      r0 = *(u32 *)(r7 + 0)
    out:
      exit`,
  },
  'a write through such a null': {
    faults: 'some',
    text: `${BEGIN}
      r5 = *(u8 *)(r7 + 1)
      *(u64 *)(r10 - 16) = r5
      ${lookup('array')}
      r5 = *(u64 *)(r10 - 16)
      r4 = r0
      if r5 > 22 goto go
      r4 = 0
    go:
      if r0 == 0 goto out
      *(u32 *)(r4 + 0) = 1
      r0 = 1
    out:
      exit`,
  },
  'the other of two nullable packet pointers is not checked': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = r7
      r3 = r7
      r4 = *(u8 *)(r7 + 0)
      if r4 > 16 goto a
      r2 = 0
    a:
      r4 = *(u8 *)(r7 + 1)
      if r4 > 41 goto b
      r3 = 0
    b:
      if r2 == 0 goto out
      r0 = *(u32 *)(r3 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'a nullable packet pointer plus a bounded number is not checked by being other than 0': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = r7
      r4 = *(u8 *)(r7 + 0)
      if r4 > 22 goto a
      r2 = 0
    a:
      r4 &= 7
      r2 += r4
      if r2 == 0 goto out
      r0 = *(u8 *)(r2 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'null plus an unbounded number is no new base in the packet': {
    faults: 'some',
    text: `${BEGIN}
      r2 = r7
      r4 = *(u8 *)(r7 + 0)
      if r4 > 22 goto a
      r2 = 0
    a:
      r2 += r4
      r1 = r2
      r1 += 4
      if r1 > r8 goto out
      r0 = *(u32 *)(r2 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'a variable offset on one of two paths into a global is an offset after them': {
    faults: 'none',
    text: `${BEGIN}
      r2 = *(u8 *)(r7 + 0)
      r1 = value globals+0
      if r2 > 20 goto go
      r2 &= 7
      r1 += r2
    go:
      r0 = *(u8 *)(r1 + 0)
      exit`,
  },
  'a variable offset on one of two paths into a global, the other way round': {
    faults: 'none',
    text: `${BEGIN}
      r2 = *(u8 *)(r7 + 0)
      r1 = value globals+0
      if r2 < 20 goto go
      r2 &= 7
      r1 += r2
      r9 = *(u8 *)(r7 + 3)
      r9 <<= 8
    go:
      r0 = *(u8 *)(r1 + 0)
      r0 |= r9
      exit`,
  },
  'a variable offset that leaves a global on one of two paths': {
    faults: 'some',
    text: `${BEGIN}
      r2 = *(u8 *)(r7 + 0)
      r1 = value globals+16
      if r2 < 20 goto go
      r1 += r2
      r9 = *(u8 *)(r7 + 3)
    go:
      r0 = *(u8 *)(r1 + 0)
      exit`,
  },
  'a variable offset that leaves a looked-up value on one of two paths': {
    faults: 'some',
    text: `${BEGIN}
      ${lookup('array')}
      if r0 == 0 goto out
      r2 = *(u8 *)(r7 + 0)
      if r2 < 20 goto go
      r2 &= 15
      r0 += r2
      r9 = *(u8 *)(r7 + 3)
    go:
      r0 = *(u64 *)(r0 + 0)
    out:
      exit`,
  },
  'null less something, made up for by the offset of the access': {
    faults: 'all',
    text: `${BEGIN}
      ${lookup('hash', 99)}
      r0 += -8
      r0 = *(u32 *)(r0 + 8)
      exit`,
  },
  'null plus something': {
    faults: 'all',
    text: `${BEGIN}
      ${lookup('hash', 99)}
      r0 += 8
      r0 = *(u32 *)(r0 + 8)
      exit`,
  },
  'a write through a pointer to a global that became one to the stack kills spills': {
    faults: 'all',
    text: `${BEGIN}
      *(u64 *)(r10 - 8) = r7
      r1 = value globals+0
      r2 = r10
      r2 -= r1
      r1 += r2
      r3 = 4096
      *(u64 *)(r1 - 8) = r3
      r4 = *(u64 *)(r10 - 8)
      r5 = r4
      r5 += 4
      if r5 > r8 goto out
      r0 = *(u32 *)(r4 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'a write through a pointer into a looked-up value that became one to the stack kills spills': {
    faults: 'all',
    text: `${BEGIN}
      ${lookup('array')}
      if r0 == 0 goto out
      *(u64 *)(r10 - 8) = r7
      r2 = r10
      r2 -= r0
      r0 += r2
      r3 = 4096
      *(u64 *)(r0 - 8) = r3
      r4 = *(u64 *)(r10 - 8)
      r5 = r4
      r5 += 4
      if r5 > r8 goto out
      r0 = *(u32 *)(r4 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'a write through a packet pointer that became one to the stack kills spills': {
    faults: 'all',
    text: `${BEGIN}
      *(u64 *)(r10 - 8) = r7
      r1 = r7
      r2 = r10
      r2 -= r1
      r1 += r2
      r3 = 4096
      *(u64 *)(r1 - 8) = r3
      r4 = *(u64 *)(r10 - 8)
      r5 = r4
      r5 += 4
      if r5 > r8 goto out
      r0 = *(u32 *)(r4 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'a write through the context that reaches the stack kills spills': {
    faults: 'all',
    text: `${BEGIN}
      *(u64 *)(r10 - 8) = r7
      r2 = r10
      r2 -= r6
      r1 = r6
      r1 += r2
      r3 = 4096
      *(u64 *)(r1 - 8) = r3
      r4 = *(u64 *)(r10 - 8)
      r5 = r4
      r5 += 4
      if r5 > r8 goto out
      r0 = *(u32 *)(r4 + 0)
      exit
    out:
      r0 = 7
      exit`,
  },
  'the lower half of a stack pointer is no pointer': {
    faults: 'all',
    text: `${BEGIN}
      w1 = w10
      *(u32 *)(r1 - 8) = 1
      r0 = 1
      exit`,
  },
  'nor is it one where a packet pointer could be': {
    faults: 'some',
    text: `${BEGIN}
      r2 = *(u8 *)(r7 + 0)
      r1 = r7
      if r2 > 20 goto go
      w1 = w10
      r1 += -8
      r3 = *(u8 *)(r7 + 1)
    go:
      *(u32 *)(r1 + 0) = 1
      r0 = 1
      exit`,
  },
  'a masked stack pointer, where a packet pointer could be, is still one': {
    faults: 'none',
    text: `${BEGIN}
      r2 = *(u8 *)(r7 + 0)
      r1 = r7
      if r2 > 20 goto go
      r1 = r10
      r1 += -8
      r1 &= -8
      r3 = *(u8 *)(r7 + 1)
    go:
      *(u32 *)(r1 + 0) = 1
      r0 = 1
      exit`,
  },
  'a loop counter that another loop changes too': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 20
      if r1 > r8 goto out
      r2 = 0
    outer:
      r3 = 0
    inner:
      r2 += 1
      r3 += 1
      if r3 != 3 goto inner
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r9 += r0
      r2 += 1
      if r2 != 40 goto outer
    out:
      r0 = r9
      exit`,
  },
  'a counter whose steps do not meet its limit': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = 0
    loop:
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r2 += 3
      if r2 != 14 goto loop
    out:
      r0 = 1
      exit`,
  },
  'a counter that is tested before it is changed reaches its limit': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = 0
    loop:
      if r2 == 15 goto out
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r2 += 1
      goto loop
    out:
      r0 = 1
      exit`,
  },
  'a loop that is entered with a larger counter from a branch': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = 0
      r3 = *(u8 *)(r7 + 0)
      if r3 > 30 goto loop
      r2 = 100
      r9 = *(u8 *)(r7 + 2)
    loop:
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r2 += 1
      if r2 < 10 goto loop
    out:
      r0 = 1
      exit`,
  },
  'a loop that is entered in the middle': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = 0
      r3 = *(u8 *)(r7 + 0)
      if r3 > 30 goto middle
    loop:
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r9 += r0
    middle:
      r2 += 3
      if r2 < 16 goto loop
    out:
      r0 = r9
      exit`,
  },
  'a counter that is changed twice in every round': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 15
      if r1 > r8 goto out
      r2 = 0
    loop:
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r2 += 1
      r2 += 1
      if r2 != 15 goto loop
    out:
      r0 = 1
      exit`,
  },
  'one byte behind what was compared': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r0 = *(u8 *)(r7 + 14)
    out:
      exit`,
  },
  'one byte behind what was compared, the end on the left': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 15
      if r8 >= r1 goto go
      r0 = *(u8 *)(r7 + 14)
      exit
    go:
      r0 = *(u8 *)(r7 + 15)
      exit`,
  },
  'a signed test of a counter that begins below 0': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = -3
    loop:
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r2 += 1
      if r2 s< 10 goto loop
    out:
      r0 = 1
      exit`,
  },
  'a counter of which only 32 bits are tested': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r2 = 0x100000000 ll
    loop:
      r4 = r7
      r4 += r2
      r0 = *(u8 *)(r4 + 0)
      r2 += 1
      if w2 < 10 goto loop
    out:
      r0 = 1
      exit`,
  },
  'a copy of a lookup outlives the next lookup at the same place': {
    faults: 'none',
    text: `${BEGIN}
      r7 = 0
      r9 = 0
    loop:
      *(u32 *)(r10 - 4) = r9
      r2 = r10
      r2 += -4
      r1 = map array
      call 1
      if r7 == 0 goto first
      r1 = *(u32 *)(r7 + 8)
      r6 += r1
    first:
      r7 = r0
      if r0 == 0 goto out
      r9 += 1
      if r9 != 4 goto loop
    out:
      r0 = r9
      exit`,
  },
  'the check of a lookup says nothing of the one before it': {
    faults: 'all',
    text: `${BEGIN}
      r7 = 0
      r9 = 9
    loop:
      *(u32 *)(r10 - 4) = r9
      r2 = r10
      r2 += -4
      r1 = map array
      call 1
      r6 = r7
      r7 = r0
      r9 += -6
      if r9 == 3 goto loop
      if r0 == 0 goto out
      r0 = *(u32 *)(r6 + 0)
      exit
    out:
      r0 = 5
      exit`,
  },
  'the packet moves in a subprogram': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      r1 = r6
      call sub
      r0 = *(u8 *)(r7 + 0)
      exit
    out:
      r0 = 1
      exit
    sub:
      r2 = 1
      call 44
      exit`,
  },
  'the end moves between the comparison and the access': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 20
      if r1 > r8 goto out
      r1 = r6
      r2 = -1
      call 65
      r0 = *(u8 *)(r7 + 19)
      exit
    out:
      r0 = 1
      exit`,
  },
  'an old end of the packet': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r6
      r2 = -1
      call 65
      r7 = *(u32 *)(r6 + 0)
      r1 = r7
      r1 += 20
      if r1 > r8 goto out
      r0 = *(u8 *)(r7 + 19)
      exit
    out:
      r0 = 1
      exit`,
  },
  'metadata is taken back': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r6
      r2 = -8
      call 54
      r7 = *(u32 *)(r6 + 8)
      r8 = *(u32 *)(r6 + 0)
      r1 = r7
      r1 += 8
      if r1 > r8 goto out
      *(u64 *)(r7 + 0) = 1
      r1 = r6
      r2 = 8
      call 54
      *(u64 *)(r7 + 0) = 1
    out:
      r0 = 1
      exit`,
  },
  'a helper writes over a spilled pointer': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      *(u64 *)(r10 - 8) = r7
      r1 = r6
      r2 = 0
      r3 = r10
      r3 += -7
      r4 = 2
      call 189
      r1 = *(u64 *)(r10 - 8)
      r0 = *(u8 *)(r1 + 0)
      exit
    out:
      r0 = 1
      exit`,
  },
  'a byte of a spilled pointer is changed': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      *(u64 *)(r10 - 8) = r7
      *(u8 *)(r10 - 7) = 3
      r1 = *(u64 *)(r10 - 8)
      r0 = *(u8 *)(r1 + 0)
      exit
    out:
      r0 = 1
      exit`,
  },
  'a spilled pointer is changed by the function that was given a pointer to it': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      *(u64 *)(r10 - 8) = r7
      r1 = r10
      call sub
      r1 = *(u64 *)(r10 - 8)
      r0 = *(u8 *)(r1 + 0)
      exit
    out:
      r0 = 1
      exit
    sub:
      *(u16 *)(r1 - 8) = 3
      r0 = 0
      exit`,
  },
  "a function writes over its caller's frame from its own": {
    faults: 'all',
    text: `${BEGIN}
      r1 = r7
      r1 += 14
      if r1 > r8 goto out
      *(u64 *)(r10 - 8) = r7
      call sub
      r1 = *(u64 *)(r10 - 8)
      r0 = *(u8 *)(r1 + 0)
      exit
    out:
      r0 = 1
      exit
    sub:
      *(u16 *)(r10 + 504) = 3
      r0 = 0
      exit`,
  },
  'beyond the stack': {
    faults: 'all',
    text: `${BEGIN}
      *(u64 *)(r10 + 0) = r7
      r0 = 1
      exit`,
  },
  'half beyond the stack': {
    faults: 'all',
    text: `${BEGIN}
      *(u64 *)(r10 - 4) = r7
      r0 = 1
      exit`,
  },
  'a function checks the packet for its caller, who has another pointer': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r2 = r8
      call sub
      if r0 == 0 goto out
      r0 = *(u8 *)(r7 + 14)
      exit
    out:
      r0 = 2
      exit
    sub:
      r0 = 0
      r3 = r1
      r3 += 14
      if r3 > r2 goto no
      r0 = 1
    no:
      exit`,
  },
  'a function that one caller gives a checked pointer, and one an unchecked': {
    faults: 'some',
    text: `${BEGIN}
      r1 = r7
      r1 += 15
      if r1 > r8 goto short
      r1 = r7
      call sub
      exit
    short:
      r1 = r7
      call sub
      exit
    sub:
      r0 = *(u8 *)(r1 + 14)
      exit`,
  },
  'a value that may only be read': {
    faults: 'all',
    text: `${BEGIN}
      r1 = value rodata+8
      r0 = *(u64 *)(r1 + 0)
      *(u8 *)(r1 - 8) = 1
      exit`,
  },
  'a looked-up value that may only be read': {
    faults: 'all',
    text: `${BEGIN}
      ${lookup('rodata')}
      if r0 == 0 goto out
      *(u8 *)(r0 + 0) = 1
    out:
      exit`,
  },
  'an update of maps that may only be read': {
    faults: 'none',
    text: `${BEGIN}
      *(u32 *)(r10 - 4) = 0
      r1 = map rodata
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -32
      *(u64 *)(r10 - 32) = 7
      *(u64 *)(r10 - 24) = 7
      r4 = 0
      call 2
      r9 += r0
      r1 = map rohash
      r2 = r10
      r2 += -4
      r3 = r10
      r3 += -32
      r4 = 0
      call 2
      r9 += r0
      r1 = map rohash
      r2 = r10
      r2 += -4
      call 3
      r0 += r9
      r0 += 3
      exit`,
  },
  'a CPU that does not exist': {
    faults: 'all',
    text: `${BEGIN}
      *(u32 *)(r10 - 4) = 0
      r1 = map percpu
      r2 = r10
      r2 += -4
      r3 = 2
      call 195
      r0 = *(u64 *)(r0 + 0)
      exit`,
  },
  'the value of another CPU': {
    faults: 'some',
    text: `${BEGIN}
      *(u32 *)(r10 - 4) = 1
      r1 = map perhash
      r2 = r10
      r2 += -4
      r3 = 1
      call 195
      if r0 == 0 goto out
      r1 = *(u8 *)(r7 + 0)
      r1 &= 15
      r0 += r1
      r0 = *(u64 *)(r0 + 0)
    out:
      exit`,
  },
  'an update with a value that reaches out of the packet': {
    faults: 'some',
    text: `${BEGIN}
      *(u32 *)(r10 - 4) = 1
      r1 = map hash
      r2 = r10
      r2 += -4
      r3 = r7
      r4 = 0
      call 2
      r0 = 1
      exit`,
  },
  'the padding behind a value': {
    faults: 'all',
    text: `${BEGIN}
      ${lookup('array')}
      if r0 == 0 goto out
      r0 = *(u32 *)(r0 + 12)
    out:
      exit`,
  },
  'the value behind a per-CPU one is that of the next key': {
    faults: 'none',
    text: `${BEGIN}
      ${lookup('percpu')}
      if r0 == 0 goto out
      r0 = *(u8 *)(r0 + 8)
    out:
      exit`,
  },
  'an element of a hash that was deleted': {
    faults: 'none',
    text: `${BEGIN}
      ${lookup('hash')}
      if r0 == 0 goto out
      r7 = r0
      r2 = r10
      r2 += -4
      r1 = map hash
      call 3
      r0 = *(u32 *)(r7 + 4)
    out:
      exit`,
  },
  'a write to the context': {
    faults: 'all',
    text: `${BEGIN}
      *(u32 *)(r6 + 12) = 1
      r0 = 1
      exit`,
  },
  'behind the context': {
    faults: 'all',
    text: `${BEGIN}
      r0 = *(u32 *)(r6 + 24)
      exit`,
  },
  'the header of a map': {
    faults: 'all',
    text: `${BEGIN}
      r1 = map array
      r0 = *(u32 *)(r1 + 0)
      exit`,
  },
  'a helper that gets a number for a map': {
    faults: 'all',
    text: `${BEGIN}
      r1 = 5
      r2 = r10
      r2 += -4
      call 1
      r0 = 1
      exit`,
  },
  'a helper that gets another pointer for a map': {
    faults: 'all',
    text: `${BEGIN}
      r1 = map array
      r1 += 8
      r2 = r10
      r2 += -4
      call 1
      r0 = 1
      exit`,
  },
  'a key that is half outside the packet': {
    faults: 'some',
    text: `${BEGIN}
      r2 = r7
      r2 += 12
      r1 = map hash
      call 1
      r0 = 1
      exit`,
  },
  'a helper that moves the packet gets another context': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r6
      r1 += 4
      r2 = 0
      call 44
      exit`,
  },
  'memory of no size behind the end of a value': {
    faults: 'none',
    text: `${BEGIN}
      r1 = r6
      r2 = 0
      r3 = value globals+0
      r3 += 20
      r4 = 4
      call 189
      r0 = 1
      exit`,
  },
  'memory of no size': {
    faults: 'all',
    text: `${BEGIN}
      r1 = r6
      r2 = 0
      r3 = value globals+0
      r3 += 24
      r4 = 0
      call 189
      r0 = 1
      exit`,
  },
  'registers that a subprogram may change': {
    faults: 'none',
    text: `${BEGIN}
      r1 = 11
      r2 = 12
      r3 = 13
      r4 = 14
      r5 = 15
      call sub
      r0 += r1
      r0 += r2
      r0 += r3
      r0 += r4
      r0 += r5
      exit
    sub:
      r1 += 100
      r4 = 7
      r0 = r1
      exit`,
  },
  'registers that a subprogram has not written': {
    faults: 'none',
    text: `${BEGIN}
      r6 = 11
      r7 = 12
      r8 = 13
      r9 = 14
      call sub
      exit
    sub:
      r0 = r6
      r0 += r7
      r0 += r8
      r0 += r9
      exit`,
  },
  'a loop without an end': {
    faults: 'all',
    text: `${BEGIN}
    loop:
      r9 += 1
      goto loop`,
  },
};
