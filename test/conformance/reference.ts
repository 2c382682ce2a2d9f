// A third opinion: the instruction set in BigInt, written straight from RFC 9669 and, where Linux adds to it,
// Linux's documentation (Documentation/bpf/standardization and verifier notes). Slow and plain on purpose; it
// shares no code with the engines. No helpers, no maps: instructions, memory (r1), its length (r2) and a stack.

/** Where the model puts the memory that r1 points to. */
const MEMORY = 0x1_0000n;
/** Where its stack ends: r10 of the main function. */
const STACK_END = 0x7000_0000n;
const FRAME = 512n;
const FRAMES = 8;
/** may_goto's iterations in one function. */
const MAY_GOTO = 8_388_608;

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const s64 = (value: bigint) => BigInt.asIntN(64, value);

interface Frame {
  readonly back: number;
  readonly saved: bigint[];
  readonly loops: number;
}

/** Division that truncates towards zero; by zero it is 0. Operands are signed or unsigned values. */
const divide = (a: bigint, b: bigint): bigint => (b === 0n ? 0n : a / b);
/** Its remainder, with the sign of the dividend; by zero it is the dividend. */
const modulo = (a: bigint, b: bigint): bigint => (b === 0n ? a : a % b);

/** Reverses the lowest `bits` bits by bytes. */
function reverse(value: bigint, bits: number): bigint {
  let result = 0n;
  for (let i = 0; i < bits; i += 8) result = (result << 8n) | ((value >> BigInt(i)) & 0xffn);
  return result;
}

/** An operation of ALU (width 32) or ALU64; the result is not yet cut to the width. */
function alu(
  operation: number,
  width: 32 | 64,
  a: bigint,
  b: bigint,
  offset: number,
  register: boolean,
): bigint {
  const signed = (value: bigint) => BigInt.asIntN(width, value);
  const unsigned = (value: bigint) => BigInt.asUintN(width, value);
  const shift = b & BigInt(width - 1);
  switch (operation) {
    case 0x0:
      return a + b;
    case 0x1:
      return a - b;
    case 0x2:
      return a * b;
    case 0x3:
      return offset === 1 ? divide(signed(a), signed(b)) : divide(unsigned(a), unsigned(b));
    case 0x4:
      return a | b;
    case 0x5:
      return a & b;
    case 0x6:
      return a << shift;
    case 0x7:
      return unsigned(a) >> shift;
    case 0x8:
      return -a;
    case 0x9:
      return offset === 1 ? modulo(signed(a), signed(b)) : modulo(unsigned(a), unsigned(b));
    case 0xa:
      return a ^ b;
    case 0xb:
      // Offset 1 is Linux's addr_space_cast, which without an arena keeps the lower half.
      if (register && offset === 1) return BigInt.asUintN(32, b);
      return register && offset !== 0 ? BigInt.asIntN(offset, b) : b;
    case 0xc:
      return signed(a) >> shift;
    default:
      throw new Error(`ALU operation 0x${operation.toString(16)}`);
  }
}

function compare(operation: number, width: 32 | 64, a: bigint, b: bigint): boolean {
  const ua = BigInt.asUintN(width, a);
  const ub = BigInt.asUintN(width, b);
  const sa = BigInt.asIntN(width, a);
  const sb = BigInt.asIntN(width, b);
  switch (operation) {
    case 0x1:
      return ua === ub;
    case 0x2:
      return ua > ub;
    case 0x3:
      return ua >= ub;
    case 0x4:
      return (ua & ub) !== 0n;
    case 0x5:
      return ua !== ub;
    case 0x6:
      return sa > sb;
    case 0x7:
      return sa >= sb;
    case 0xa:
      return ua < ub;
    case 0xb:
      return ua <= ub;
    case 0xc:
      return sa < sb;
    case 0xd:
      return sa <= sb;
    default:
      throw new Error(`jump 0x${operation.toString(16)}`);
  }
}

/**
 * Runs `code` (8-byte slots, little-endian) with r1 = address of `memory`, which it may change, and
 * r2 = its length. r0, unsigned; an Error where the program goes wrong or takes more than `budget` instructions.
 */
export function runReference(code: Uint8Array, memory: Uint8Array, budget = 1_000_000): bigint {
  const words = new DataView(code.buffer, code.byteOffset, code.byteLength);
  const stack = new Uint8Array(Number(FRAME) * FRAMES);
  const stackStart = STACK_END - BigInt(stack.length);
  const r: bigint[] = new Array<bigint>(16).fill(0n);
  const frames: Frame[] = [];
  let loops = MAY_GOTO;
  let pc = 0;
  r[1] = MEMORY;
  r[2] = BigInt(memory.length);
  r[10] = STACK_END;

  const get = (index: number): bigint => r[index] ?? 0n;
  const set = (index: number, value: bigint) => {
    r[index] = u64(value);
  };
  const view = (address: bigint, size: number): [DataView, number] => {
    for (const [start, bytes] of [
      [MEMORY, memory],
      [stackStart, stack],
    ] as const) {
      const at = u64(address) - start;
      if (at >= 0n && at + BigInt(size) <= BigInt(bytes.length)) {
        return [new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), Number(at)];
      }
    }
    throw new Error(`access of ${size} bytes at 0x${u64(address).toString(16)}, slot ${pc - 1}`);
  };
  const load = (address: bigint, size: number): bigint => {
    const [data, at] = view(address, size);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(data.getUint8(at + i));
    return value;
  };
  const store = (address: bigint, size: number, value: bigint) => {
    const [data, at] = view(address, size);
    for (let i = 0; i < size; i++) data.setUint8(at + i, Number((value >> BigInt(8 * i)) & 0xffn));
  };
  /** Leaves the function; true when that ends the program. */
  const leave = (): boolean => {
    const frame = frames.pop();
    if (!frame) return true;
    pc = frame.back;
    loops = frame.loops;
    for (const [i, value] of frame.saved.entries()) r[6 + i] = value;
    return false;
  };

  for (let steps = 0; ; steps++) {
    if (steps >= budget) throw new Error(`more than ${budget} instructions`);
    if (pc < 0 || pc * 8 >= code.length) throw new Error(`slot ${pc} is outside the program`);
    const at = pc * 8;
    const opcode = words.getUint8(at);
    const dst = words.getUint8(at + 1) & 15;
    const src = words.getUint8(at + 1) >> 4;
    const offset = words.getInt16(at + 2, true);
    const imm = words.getInt32(at + 4, true);
    const kind = opcode & 7;
    const operation = opcode >> 4;
    const register = (opcode & 8) !== 0;
    const size = [4, 2, 1, 8][(opcode >> 3) & 3] ?? 0;
    const mode = opcode >> 5;
    pc++;

    switch (kind) {
      case 0: {
        if (mode === 0) {
          if (opcode !== 0x18) throw new Error(`opcode 0x${opcode.toString(16)}`);
          set(dst, (BigInt(words.getInt32(pc * 8 + 4, true)) << 32n) | BigInt.asUintN(32, BigInt(imm)));
          pc++;
          break;
        }
        if (mode > 2) throw new Error(`opcode 0x${opcode.toString(16)}`);
        const from = Number(BigInt.asIntN(32, BigInt(imm) + (mode === 2 ? get(src) : 0n)));
        if (from >= 0 && from + size <= memory.length) {
          set(0, reverse(load(MEMORY + BigInt(from), size), size * 8));
        } else {
          set(0, 0n);
          if (leave()) return 0n;
        }
        break;
      }
      case 1:
        if (mode !== 3 && mode !== 4) throw new Error(`opcode 0x${opcode.toString(16)}`);
        set(dst, load(get(src) + BigInt(offset), size));
        if (mode === 4) set(dst, BigInt.asIntN(size * 8, get(dst)));
        break;
      case 2:
        if (mode !== 3) throw new Error(`opcode 0x${opcode.toString(16)}`);
        store(get(dst) + BigInt(offset), size, BigInt(imm));
        break;
      case 3: {
        if (mode === 3) {
          store(get(dst) + BigInt(offset), size, get(src));
          break;
        }
        if (mode !== 6) throw new Error(`opcode 0x${opcode.toString(16)}`);
        if (imm === 0x100) {
          set(dst, load(get(src) + BigInt(offset), size));
          break;
        }
        const address = get(dst) + BigInt(offset);
        const old = load(address, size);
        const operand = get(src);
        const cut = (value: bigint) => BigInt.asUintN(size * 8, value);
        if (imm === 0x110) store(address, size, operand);
        else if (imm === 0xe1) {
          store(address, size, operand);
          set(src, old);
        } else if (imm === 0xf1) {
          if (cut(get(0)) === old) store(address, size, operand);
          set(0, old);
        } else {
          const fetch = imm & 1;
          const combine = imm & ~1;
          if (combine === 0x00) store(address, size, old + operand);
          else if (combine === 0x40) store(address, size, old | operand);
          else if (combine === 0x50) store(address, size, old & operand);
          else if (combine === 0xa0) store(address, size, old ^ operand);
          else throw new Error(`atomic operation 0x${imm.toString(16)}`);
          if (fetch) set(src, old);
        }
        break;
      }
      case 4:
      case 7: {
        const width = kind === 4 ? 32 : 64;
        const a = get(dst);
        if (operation === 0xd) {
          // ALU: to little-endian (K) or big-endian (X); ALU64: swap whatever the machine is.
          const swap = kind === 7 || register;
          set(dst, swap ? reverse(a, imm) : BigInt.asUintN(imm, a));
          break;
        }
        const b = register ? get(src) : BigInt(imm);
        const result = alu(operation, width, a, b, offset, register);
        set(dst, BigInt.asUintN(width, result));
        break;
      }
      case 5:
      case 6: {
        if (operation === 0) {
          if (register) throw new Error('gotox');
          pc += kind === 5 ? offset : imm;
        } else if (operation === 8 && kind === 5) {
          if (register || src !== 1) throw new Error(`call of kind ${src}`);
          if (frames.length + 1 >= FRAMES) throw new Error('too many frames');
          frames.push({ back: pc, saved: r.slice(6, 11), loops });
          loops = MAY_GOTO;
          set(10, get(10) - FRAME);
          pc += imm;
        } else if (operation === 9 && kind === 5) {
          if (leave()) return u64(get(0));
        } else if (operation === 0xe && kind === 5) {
          if (loops > 0) loops--;
          else pc += offset;
        } else {
          const b = register ? get(src) : BigInt(imm);
          if (compare(operation, kind === 5 ? 64 : 32, s64(get(dst)), s64(b))) pc += offset;
        }
        break;
      }
    }
  }
}
