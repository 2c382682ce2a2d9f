// Programs that no kernel loads. Each is refused with Linux's errno and a message that says where it is wrong, and
// leaves the kernel as it was.

import { expect, test } from 'vitest';
import type { Bpf, Fd, ProgLoadAttr } from '../../src/bpf/bpf.js';
import { BpfError, Errno } from '../../src/bpf/errno.js';
import { MapType, ProgType } from '../../src/bpf/types.js';
import { assemble, encode, loadPseudo, PseudoSource } from '../../src/isa/index.js';
import { EmulatedKernel } from '../../src/kernel/kernel.js';
import { missingKernel, needs } from '../require.js';

/** What the cases may refer to. */
interface Scene {
  /** An array of one value of 16 bytes, and a hash. */
  readonly array: Fd;
  readonly hash: Fd;
}

interface Case {
  /** Text, or the bytes of slots. */
  readonly code: string | ((scene: Scene) => Uint8Array);
  readonly errno: number;
  /** What the message must name, usually the instruction. */
  readonly says: RegExp;
  readonly attr?: Partial<ProgLoadAttr>;
}

/** Slots as eight bytes each: opcode, registers (source above destination), offset, immediate. */
const slots = (...rows: readonly [number, number, number, number][]): Uint8Array => {
  const bytes = new Uint8Array(rows.length * 8);
  const view = new DataView(bytes.buffer);
  rows.forEach(([opcode, registers, offset, imm], i) => {
    view.setUint8(i * 8, opcode);
    view.setUint8(i * 8 + 1, registers);
    view.setInt16(i * 8 + 2, offset, true);
    view.setInt32(i * 8 + 4, imm, true);
  });
  return bytes;
};

const MOV: [number, number, number, number] = [0xb7, 0, 0, 0];
const EXIT: [number, number, number, number] = [0x95, 0, 0, 0];

/** A chain of `count` functions. */
const nested = (count: number): string =>
  Array.from({ length: count }, (_, i) => [
    `f${i}:`,
    ...(i + 1 < count ? [`call f${i + 1}`] : ['r0 = 0']),
    'exit',
  ])
    .flat()
    .join('\n');

const mapValue = (fd: Fd, offset: number): Uint8Array =>
  encode([loadPseudo(1, PseudoSource.MAP_VALUE, fd, offset), ...assemble('r0 = 0\nexit')]);

const CASES: Record<string, Case> = {
  'no instruction at all': { code: () => new Uint8Array(0), errno: Errno.E2BIG, says: /0/ },
  'more than a million instructions': {
    code: () => {
      const bytes = new Uint8Array(8 * 1_000_001).fill(0);
      for (let i = 0; i < bytes.length; i += 8) bytes[i] = i + 8 === bytes.length ? 0x95 : 0xb7;
      return bytes;
    },
    errno: Errno.E2BIG,
    says: /1000001/,
  },
  'a jump behind the end': {
    code: () => slots([0x05, 0, 5, 0], MOV, EXIT),
    errno: Errno.EINVAL,
    says: /insn 0 to 6/,
  },
  'a jump before the beginning': {
    code: () => slots(MOV, [0x05, 0, -3, 0], EXIT),
    errno: Errno.EINVAL,
    says: /insn 1 to -1/,
  },
  'a branch behind the end': {
    code: () => slots(MOV, [0x15, 0, 9, 0], EXIT),
    errno: Errno.EINVAL,
    says: /insn 1 to 11/,
  },
  'a long jump behind the end': {
    code: () => slots([0x06, 0, 0, 0x7fffffff], MOV, EXIT),
    errno: Errno.EINVAL,
    says: /insn 0 /,
  },
  'a jump into the second half of an instruction': {
    code: () => slots(MOV, [0x15, 0, 1, 0], [0x18, 1, 0, 1], [0, 0, 0, 0], EXIT),
    errno: Errno.EINVAL,
    says: /insn 1/,
  },
  'the first half of an instruction alone': {
    code: () => slots(MOV, [0x18, 1, 0, 1]),
    errno: Errno.EINVAL,
    says: /1/,
  },
  'the second half of an instruction alone': {
    code: () => slots([0, 0, 0, 0], MOV, EXIT),
    errno: Errno.EINVAL,
    says: /0/,
  },
  'a program that does not end': { code: 'r0 = 0', errno: Errno.EINVAL, says: /insn 0/ },
  'a program that ends with a branch': {
    code: 'r0 = 0\nx: if r0 == 1 goto x',
    errno: Errno.EINVAL,
    says: /insn 1/,
  },
  'unreachable code': { code: 'r0 = 0\nexit\nr0 = 1\nexit', errno: Errno.EINVAL, says: /insn 2/ },
  'an unreachable loop': { code: 'r0 = 0\nexit\nx: r0 += 1\ngoto x', errno: Errno.EINVAL, says: /insn 2/ },
  'a function that goes on into the next': {
    code: 'call f\nexit\nf: r0 = 0\nif r1 == 0 goto g\ncall g\ng: r0 = 1\nexit',
    errno: Errno.EINVAL,
    says: /insn 3|insn 4/,
  },
  'a jump into another function': {
    code: 'call f\nif r0 == 0 goto g\nexit\nf: r0 = 0\ng: exit',
    errno: Errno.EINVAL,
    says: /insn 1 to 4/,
  },
  'a call behind the end': {
    code: () => slots([0x85, 0x10, 0, 100], EXIT),
    errno: Errno.EINVAL,
    says: /insn 0|101/,
  },
  'a function that calls itself': {
    code: 'call f\nexit\nf: call f\nexit',
    errno: Errno.E2BIG,
    says: /insn 2/,
  },
  'functions that call each other': {
    code: 'call f\nexit\nf: call g\nexit\ng: call f\nexit',
    errno: Errno.E2BIG,
    says: /insn (2|4)/,
  },
  'nine frames': { code: nested(9), errno: Errno.E2BIG, says: /9 frames/ },
  'an opcode that does not exist': {
    code: () => slots(MOV, [0xff, 0, 0, 0], EXIT),
    errno: Errno.EINVAL,
    says: /1/,
  },
  'a register that does not exist': {
    code: () => slots(MOV, [0xbf, 0xb1, 0, 0], EXIT),
    errno: Errno.EINVAL,
    says: /1/,
  },
  'an operand where there is none': {
    code: () => slots(MOV, [0x95, 0, 0, 1]),
    errno: Errno.EINVAL,
    says: /1/,
  },
  'a size of byte swap that does not exist': {
    code: () => slots(MOV, [0xdc, 0, 0, 24], EXIT),
    errno: Errno.EINVAL,
    says: /1/,
  },
  'a write to r10': { code: 'r0 = 0\nr10 += 8\nexit', errno: Errno.EACCES, says: /insn 1/ },
  'a load into r10': { code: 'r0 = 0\nr10 = *(u64 *)(r10 - 8)\nexit', errno: Errno.EACCES, says: /insn 1/ },
  'a helper that does not exist': {
    code: () => slots([0x85, 0, 0, 99999], EXIT),
    errno: Errno.EINVAL,
    says: /insn 0.*99999/,
  },
  'a helper of another program type': {
    code: 'call 9\nexit',
    errno: Errno.EINVAL,
    says: /insn 0.*skb_store_bytes/,
  },
  'a helper for GPL programs only': {
    code: '*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\nr2 = 8\ncall 6\nr0 = 0\nexit',
    errno: Errno.EINVAL,
    says: /insn 4.*trace_printk/,
    attr: { license: 'Proprietary' },
  },
  'a legacy packet load in XDP': {
    code: 'r6 = r1\nr0 = *(u8 *)skb[0]\nexit',
    errno: Errno.EINVAL,
    says: /insn 1/,
  },
  'a descriptor that is not open': {
    code: () => encode([loadPseudo(1, PseudoSource.MAP_FD, 4242), ...assemble('r0 = 0\nexit')]),
    errno: Errno.EBADF,
    says: /4242/,
  },
  'an offset behind the value': {
    code: ({ array }) => mapValue(array, 16),
    errno: Errno.EINVAL,
    says: /16.*insn 0/,
  },
  'the address of a value in a hash': {
    code: ({ hash }) => mapValue(hash, 0),
    errno: Errno.EINVAL,
    says: /insn 0/,
  },
  'a program type that does not exist': {
    code: 'r0 = 0\nexit',
    errno: Errno.EINVAL,
    says: /999/,
    attr: { type: 999 as ProgType },
  },
  'a name with a space': { code: 'r0 = 0\nexit', errno: Errno.EINVAL, says: /a b/, attr: { name: 'a b' } },
};

const codeOf = ({ code }: Case, scene: Scene): Uint8Array =>
  typeof code === 'string' ? encode(assemble(code)) : code(scene);

async function sceneIn(kernel: Bpf): Promise<Scene> {
  return {
    array: await kernel.mapCreate({ type: MapType.Array, keySize: 4, valueSize: 16, maxEntries: 1 }),
    hash: await kernel.mapCreate({ type: MapType.Hash, keySize: 4, valueSize: 16, maxEntries: 4 }),
  };
}

async function refusal(kernel: Bpf, found: Case, scene: Scene): Promise<BpfError> {
  const attr = { type: ProgType.Xdp, instructions: codeOf(found, scene), license: 'GPL', ...found.attr };
  try {
    await kernel.close(await kernel.progLoad(attr));
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
  throw new Error('the program was loaded');
}

const works = encode(assemble('r0 = 2\nexit'));

test.each(['jit', 'interpreter'] as const)(
  'a broken program is refused with its reason (%s)',
  async (engine) => {
    const kernel = new EmulatedKernel({ engine, safety: 'check' });
    const scene = await sceneIn(kernel);
    for (const [name, found] of Object.entries(CASES)) {
      const error = await refusal(kernel, found, scene).catch((error) => {
        throw new Error(`${name}: ${error}`, { cause: error });
      });
      expect.soft({ name, errno: error.errno }).toEqual({ name, errno: found.errno });
      expect.soft(error.message, name).toMatch(found.says);
    }
    const prog = await kernel.progLoad({ type: ProgType.Xdp, instructions: works, license: 'GPL' });
    expect((await kernel.progTestRun(prog, { dataIn: new Uint8Array(14) })).retval).toBe(2);
  },
);

needs('on the live kernel', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test('Linux refuses the same programs, with the same errno', async () => {
    const { LinuxKernel } = await import('../../src/linux/index.js');
    using kernel = new LinuxKernel();
    const scene = await sceneIn(kernel);
    for (const [name, found] of Object.entries(CASES)) {
      const error = await refusal(kernel, found, scene).catch((error) => {
        throw new Error(`${name}: ${error}`, { cause: error });
      });
      expect.soft({ name, errno: error.errno }).toEqual({ name, errno: found.errno });
    }
  });
});
