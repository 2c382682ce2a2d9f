// Contexts: one load or store at every offset and in every size, as the table has it and as the kernel of this
// machine has it.

import { expect, test } from 'vitest';
import { type AttachType, MapType, ProgType } from '../../src/bpf/types.js';
import {
  contextAccess,
  programRules,
  rulesOf,
  socketPointers,
} from '../../src/kernel/verifier/tables/contexts/index.js';
import type { ProgramRules, ReturnRule } from '../../src/kernel/verifier/tables/types.js';
import { missingKernel, needs } from '../require.js';
import { plainCases } from './cases.js';
import {
  add,
  call,
  closeRaw,
  createRaw,
  exit,
  insn,
  kernelBtf,
  ldMap,
  ldx,
  loadRaw,
  mov,
  movReg,
  st,
  stx,
} from './raw.js';

test('every program type has one row', () => {
  expect(programRules.map(({ type }) => type)).toEqual(
    Object.values(ProgType).filter((type) => type !== ProgType.Unspec),
  );
});

const SIZES = [1, 2, 4, 8];
const ldsx = (size: number, dst: number, src: number, off: number) =>
  insn({ 1: 0x91, 2: 0x89, 4: 0x81 }[size] ?? 0, dst, src, off);

const returnRule = (rules: ProgramRules, attach: AttachType): ReturnRule | undefined =>
  rules.returns.find((rule) => !rule.attach || rule.attach.includes(attach));
/** Something that the program may return. */
const allowedReturn = (rules: ProgramRules, attach: AttachType): number => {
  const range = returnRule(rules, attach)?.range;
  return Array.isArray(range) ? range[0] : 0;
};

/** Offsets that are looked at: all of a small context, the ends and a part of a large one. */
function offsets(size: number): number[] {
  const last = size + 16;
  const all = Array.from({ length: last }, (_, i) => i);
  return size <= 256 ? all : all.filter((at) => at < 64 || at >= size - 32 || at % 1021 < 2);
}

/** Attach types of which no field depends are one case. */
const distinct = plainCases.filter((one, i) => {
  const context = rulesOf(one.type)?.context;
  const fields = context?.kind === 'fields' || context?.kind === 'memory' ? (context.fields ?? []) : [];
  if (fields.some(({ read, write }) => read?.attach || write?.attach)) return true;
  return plainCases.findIndex(({ type }) => type === one.type) === i;
});

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(distinct)('accesses of $label', (one) => {
    const rules = rulesOf(one.type);
    const context = rules?.context;
    if (!rules || !context || context.kind === 'arguments' || context.kind === 'target') {
      throw new Error('has no layout');
    }
    const end = [mov(0, allowedReturn(rules, one.attach)), exit];
    const differences: string[] = [];
    let accepted = 0;
    let looked = 0;
    for (const offset of offsets(context.size)) {
      if (offset > 0x7fff) break;
      for (const size of SIZES) {
        // A few that are not aligned are enough.
        if (offset % size !== 0 && offset % 16 > 3) continue;
        for (const how of ['load', 'store', 'signed load'] as const) {
          if (how === 'signed load' && size === 8) continue;
          const insns =
            how === 'load'
              ? [ldx(size, 0, 1, offset)]
              : how === 'store'
                ? [mov(2, 0), stx(size, 1, offset, 2)]
                : [ldsx(size, 0, 1, offset)];
          const { errno } = loadRaw({ ...one, insns: [...insns, ...end], logLevel: 0 });
          const access = { offset, size, write: how === 'store', signExtend: how === 'signed load' };
          const expected = contextAccess(context, access, one.attach) !== undefined;
          looked++;
          if (errno === 0) accepted++;
          if (expected === (errno === 0)) continue;
          const { log } = loadRaw({ ...one, insns: [...insns, ...end] });
          differences.push(`${how} of ${size} at ${offset}: table ${expected}, kernel ${errno} ${log}`);
        }
      }
    }
    expect(differences.slice(0, 8)).toEqual([]);
    expect(looked).toBeGreaterThan(accepted);
    expect(accepted).toBeGreaterThan(0);
  });

  test.each(Object.keys(socketPointers) as (keyof typeof socketPointers)[])(
    'what a %s pointer shows',
    (kind) => {
      const context = socketPointers[kind];
      // r8 = the pointer; where there is none, the end (two instructions later).
      const orEnd = [insn(0x55, 8, 0, 2, 0), mov(0, 0), exit];
      const start = [ldx(8, 8, 1, 168), ...orEnd];
      const cast = (helper: number) => [...start, movReg(1, 8), call(helper), movReg(8, 0), ...orEnd];
      const map = kind === 'xdp-sock' ? createRaw(MapType.Xskmap, 4, 4, 1) : 0;
      const preludes = {
        'sock-common': start,
        socket: cast(95),
        'tcp-sock': cast(96),
        'xdp-sock': [
          st(4, 10, -4, 0),
          movReg(2, 10),
          add(2, -4),
          ldMap(1, map),
          call(1),
          movReg(8, 0),
          ...orEnd,
        ],
      };
      let accepted = 0;
      for (let offset = 0; offset < context.size + 8; offset++) {
        for (const size of SIZES) {
          for (const write of [false, true]) {
            const access = write ? [mov(2, 0), stx(size, 8, offset, 2)] : [ldx(size, 2, 8, offset)];
            const insns = [...preludes[kind], ...access, mov(0, 0), exit];
            const load = { type: ProgType.SchedCls, insns };
            const ok = loadRaw({ ...load, logLevel: 0 }).errno === 0;
            // Nothing is written through them.
            const expected = !write && contextAccess(context, { offset, size, write }, 0) !== undefined;
            if (ok !== expected) expect(ok, `${size} at ${offset}: ${loadRaw(load).log}`).toBe(expected);
            if (ok) accepted++;
          }
        }
      }
      expect(accepted).toBeGreaterThan(0);
      if (map) closeRaw(map);
    },
  );

  test('layouts are those of the kernel', () => {
    const btf = kernelBtf();
    for (const { context } of programRules) {
      if (context.kind !== 'fields') continue;
      const id = btf.findByName(context.struct, 'STRUCT');
      const type = id === undefined ? undefined : btf.type(id);
      if (type?.kind !== 'STRUCT') continue;
      expect(type.size, context.struct).toBe(context.size);
      const members = new Map(
        type.members.map(({ name, bitOffset, type: member }) => [name, { bitOffset, member }]),
      );
      for (const field of context.fields) {
        const member = members.get(field.name);
        if (!member) continue;
        expect(member.bitOffset / 8, `${context.struct}.${field.name}`).toBe(field.offset);
        expect(btf.sizeOf(member.member), `${context.struct}.${field.name}`).toBe(field.size);
      }
    }
  });
});
