import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyInstruction } from '../../test/isa/arbitrary.js';
import { missingTool, needs } from '../../test/require.js';
import {
  assemble,
  assembleUnit,
  decode,
  decodeOne,
  disassembleKernel,
  disassembleLlvm,
  encode,
  INSTRUCTIONS,
  type Instruction,
  rowOf,
  slotOffsets,
  toAssembly,
} from './index.js';

interface LlvmForm {
  /** As given to llvm-mc. */
  readonly source: string;
  readonly little: string;
  readonly big: string;
  /** As llvm-objdump prints it, and where it differs, with 32-bit registers. */
  readonly text: string;
  readonly alu32?: string;
}

const golden = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../test/isa/${name}`, import.meta.url), 'utf8'));
const llvm = golden('llvm.json') as { tools: string; forms: LlvmForm[] };
const kernel = golden('kernel.json') as { tools: string; forms: { little: string; text: string }[] };

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const fromHex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));

describe(`every form, against ${llvm.tools}`, () => {
  test('assembles to the same bytes in both byte orders', () => {
    for (const { source, little, big } of llvm.forms) {
      const insns = assemble(source);
      expect([source, toHex(encode(insns))]).toEqual([source, little]);
      expect([source, toHex(encode(insns, { littleEndian: false }))]).toEqual([source, big]);
    }
  });

  test('decodes from the bytes of both byte orders alike', () => {
    for (const { little, big } of llvm.forms) {
      expect(decode(fromHex(big), { littleEndian: false })).toEqual(decode(fromHex(little)));
    }
  });

  test('disassembles to the same text, with and without 32-bit registers', () => {
    for (const { little, text, alu32 } of llvm.forms) {
      for (const insn of decode(fromHex(little))) {
        expect(disassembleLlvm(insn)).toBe(text);
        expect(disassembleLlvm(insn, 0, { alu32: true })).toBe(alu32 ?? text);
      }
    }
  });

  test('is in the recording, but for what that LLVM does not know', () => {
    const seen = new Set(llvm.forms.flatMap(({ little }) => decode(fromHex(little)).map(rowOf)));
    const missing = INSTRUCTIONS.filter((row) => !seen.has(row)).map((row) => row.name);
    expect(missing).toEqual([
      'load_acquire_b',
      'store_release_b',
      'load_acquire_h',
      'store_release_h',
      'load_acquire_w',
      'store_release_w',
      'load_acquire_dw',
      'store_release_dw',
      'gotox',
      'call_local',
      'call_kfunc',
    ]);
  });
});

describe(`every form that a program may have, against ${kernel.tools}`, () => {
  test('is written as Linux writes it', () => {
    // The names of helpers are not of the instruction set: take them from the recording.
    for (const { little, text } of kernel.forms) {
      const name = /call (bpf_\w+)#/.exec(text)?.[1];
      for (const insn of decode(fromHex(little))) {
        expect(disassembleKernel(insn, { call: () => name })).toBe(text);
      }
    }
  });

  test('is in the recording, but for what needs maps, BTF or an arena, and what Linux does not run', () => {
    const seen = new Set(kernel.forms.flatMap(({ little }) => decode(fromHex(little)).map(rowOf)));
    const missing = INSTRUCTIONS.filter((row) => !seen.has(row)).map((row) => row.name);
    expect(missing).toEqual([
      'addr_space_cast',
      'ld_imm64_map_fd',
      'ld_imm64_map_value',
      'ld_imm64_btf_id',
      'ld_imm64_func',
      'ld_imm64_map_idx',
      'ld_imm64_map_idx_value',
      'gotox',
      'call_kfunc',
      'callx',
    ]);
  });
});

const xlated = golden('xlated.json') as typeof kernel;

describe(`a program that Linux rewrote, against ${xlated.tools}`, () => {
  test('is written as bpftool prints it, the names of what is called given', () => {
    for (const { little, text } of xlated.forms) {
      const { insn } = decodeOne(fromHex(little), 0);
      const callbacks = {
        call: () => /call pc(.*)$/.exec(text)?.[1] ?? /call (\w+)#/.exec(text)?.[1],
        imm64: () => /map\[.*$/.exec(text)?.[0],
      };
      expect(disassembleKernel(insn, callbacks)).toBe(text);
    }
  });

  test('has what only Linux itself writes', () => {
    expect(xlated.forms.some(({ text }) => text.includes('__percpu'))).toBe(true);
  });
});

needs('LLVM here', missingTool('llvm-mc-19'), 'SKEP_REQUIRE_TOOLS', () => {
  const run = (body: (folder: string) => void): void => {
    const folder = mkdtempSync(join(tmpdir(), 'skep-isa-'));
    try {
      body(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  /** The texts of llvm-objdump for `code`. */
  const objdump = (folder: string, code: Uint8Array, triple: string, args: string[]): string[] => {
    const file = join(folder, 'code');
    writeFileSync(`${file}.bin`, code);
    writeFileSync(`${file}.s`, `.text\n.incbin "${file}.bin"\n`);
    execFileSync('llvm-mc-19', [`-triple=${triple}`, '-filetype=obj', `${file}.s`, '-o', `${file}.o`]);
    const output = execFileSync('llvm-objdump-19', ['-d', '--no-show-raw-insn', ...args, `${file}.o`], {
      encoding: 'utf8',
    });
    return [...output.matchAll(/^ *\d+:\t(.*?)(?: <[^<> ]*>)?$/gm)].map(([, text]) => text ?? '');
  };

  const newer = new Set(['loadAcquire', 'storeRelease', 'jumpIndirect']);
  const known = INSTRUCTIONS.filter((row) => !newer.has(row.semantics.kind));
  const sample = (rows = known): Instruction[] => fc.sample(anyInstruction(rows), 500);

  test.each([
    ['bpfel', []],
    ['bpfeb', []],
    ['bpfel', ['--mcpu=v3']],
  ] as const)('%s %s prints random instructions as we do', (triple, args) => {
    run((folder) => {
      const insns = sample();
      const code = encode(insns, { littleEndian: triple === 'bpfel' });
      const alu32 = args.length > 0;
      const ours = insns.map((insn) => disassembleLlvm(insn, 0, { alu32 }));
      expect(ours).toEqual(objdump(folder, code, triple, [...args]));
    });
  });

  test('assembles our text of random instructions to the same bytes', () => {
    run((folder) => {
      const lossless = known.filter((row) => row.syntax.exact === undefined && row.name !== 'gotol');
      const insns = sample(lossless);
      const source = join(folder, 'ours.s');
      const object = join(folder, 'ours.o');
      const binary = join(folder, 'ours.bin');
      const lines = insns.map((insn) => disassembleLlvm(insn, 0, { alu32: true }));
      writeFileSync(source, `${lines.join('\n')}\n`);
      execFileSync('llvm-mc-19', ['-triple=bpfel', '-mcpu=v4', '-filetype=obj', source, '-o', object]);
      execFileSync('llvm-objcopy-19', ['-O', 'binary', '-j', '.text', object, binary]);
      expect(new Uint8Array(readFileSync(binary))).toEqual(encode(insns));
    });
  });

  test('resolves and prints labels as we do', () => {
    run((folder) => {
      const text = [
        'start:',
        'r0 = 1 ll',
        '1: if r0 s> 5 goto out',
        'if w0 & w1 goto 1b',
        'may_goto middle; goto 1f',
        'middle: gotol start // back',
        '1:',
        'call start # a subprogram',
        'goto +1 /* into the last */',
        'out: exit',
      ].join('\n');
      const source = join(folder, 'labels.s');
      const object = join(folder, 'labels.o');
      writeFileSync(source, `${text}\n`);
      execFileSync('llvm-mc-19', ['-triple=bpfel', '-mcpu=v4', '-filetype=obj', source, '-o', object]);
      const output = execFileSync('llvm-objdump-19', ['-d', object], { encoding: 'utf8' });
      const lines = [...output.matchAll(/^ *\d+:\t([0-9a-f ]+)\t(.*)$/gm)];
      const { insns, labels } = assembleUnit(text);
      expect(toHex(encode(insns))).toBe(lines.map(([, bytes]) => bytes?.replaceAll(' ', '')).join(''));
      const label = (slot: number): string => {
        const [name, at] = [...labels].filter(([, start]) => start <= slot).at(-1) ?? ['', 0];
        return at === slot ? name : `${name}+0x${((slot - at) * 8).toString(16)}`;
      };
      const offsets = slotOffsets(insns);
      const ours = insns.map((insn, i) => disassembleLlvm(insn, offsets[i], { label }));
      expect(ours).toEqual(lines.map(([, , line]) => line));
      expect(assemble(toAssembly(insns))).toEqual(insns);
    });
  });
});

needs('clang here', missingTool('clang-19'), 'SKEP_REQUIRE_TOOLS', () => {
  const SOURCE = `
    struct ctx { unsigned a, b; unsigned long p; };
    static __attribute__((noinline)) int mix(unsigned long x, unsigned y) {
      return x % 7 ? y / 3 : (int)(x >> 5);
    }
    int entry(struct ctx *c) {
      int s = 0;
      for (unsigned i = 0; i < c->a; i++) s += ((signed char *)c->p)[i] * mix(i, c->b);
      __sync_fetch_and_add(&c->p, s);
      c->b = s;
      switch (s) { case 1: return 5; case 2: return 9; case 3: return 77; }
      return __builtin_bswap32(s) ^ mix(s, 4);
    }`;

  test.each([
    ['v1', 'bpfel'],
    ['v2', 'bpfel'],
    ['v3', 'bpfeb'],
    ['v4', 'bpfel'],
  ])('its assembly for cpu %s, %s, becomes its object', (cpu, target) => {
    const folder = mkdtempSync(join(tmpdir(), 'skep-isa-'));
    try {
      const compile = (kind: string, file: string): void => {
        const args = [
          `--target=${target}`,
          '-O2',
          `-mcpu=${cpu}`,
          '-x',
          'c',
          kind,
          '-',
          '-o',
          join(folder, file),
        ];
        execFileSync('clang-19', args, { input: SOURCE });
      };
      compile('-S', 'code.s');
      compile('-c', 'code.o');
      const binary = join(folder, 'code.bin');
      execFileSync('llvm-objcopy-19', ['-O', 'binary', '-j', '.text', join(folder, 'code.o'), binary]);
      const insns = assemble(readFileSync(join(folder, 'code.s'), 'utf8'));
      const code = encode(insns, { littleEndian: target === 'bpfel' });
      expect(toHex(code)).toBe(readFileSync(binary).toString('hex'));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
