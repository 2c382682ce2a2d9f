// What a program type allows beside its context: attach types, sleep, packets, what loads give, return values. The
// table against the kernel of this machine.

import { expect, test } from 'vitest';
import { AttachType, MapType, ProgFlag, ProgType, progTypeName } from '../../src/bpf/types.js';
import { programRules, rulesOf } from '../../src/kernel/verifier/tables/contexts/index.js';
import type { ContextPointer, ProgramRules } from '../../src/kernel/verifier/tables/types.js';
import { missingKernel, needs } from '../require.js';
import { btfCases, type LoadCase, plainCases } from './cases.js';
import { call, closeRaw, createRaw, exit, insn, ldMap, ldx, loadRaw, mov, movReg, st } from './raw.js';

const rangeOf = (rules: ProgramRules, attach: AttachType) =>
  rules.returns.find((rule) => !rule.attach || rule.attach.includes(attach))?.range;
const okReturn = (rules: ProgramRules, attach: AttachType): number => {
  const range = rangeOf(rules, attach);
  return Array.isArray(range) ? range[0] : 0;
};
/** Types that this machine loads without a BTF id. */
const loadable = programRules.filter(({ type }) => plainCases.some((one) => one.type === type));
const caseOf = (type: ProgType): LoadCase => {
  const found = plainCases.find((one) => one.type === type);
  if (!found) throw new Error(`no case for ${type}`);
  return found;
};

/** A pointer as the verifier's log names it. */
function logged(pointer: ContextPointer): string {
  const names: Record<ContextPointer['kind'], string> = {
    packet: 'pkt',
    'packet-meta': 'pkt_meta',
    'packet-end': 'pkt_end',
    'flow-keys': 'flow_keys',
    socket: 'sock',
    'sock-common': 'sock_common',
    'tp-buffer': 'tp_buffer',
    buffer: 'buf',
    'btf-id': `ptr_${pointer.btf}`,
  };
  return `${pointer.trusted ? 'trusted_' : ''}${names[pointer.kind]}${pointer.nullable ? '_or_null' : ''}`;
}

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  test.each(loadable.map((rules) => ({ name: progTypeName(rules.type), rules })))(
    'attach types of $name',
    ({ rules }) => {
      const accepted = Object.values(AttachType).filter((attach) => {
        const flags = caseOf(rules.type).flags ?? 0;
        return [0, 1].some((value) => {
          const insns = [mov(0, value), exit];
          return loadRaw({ type: rules.type, attach, flags, insns, logLevel: 0 }).errno === 0;
        });
      });
      if (rules.attachTypes) {
        const expected = [...rules.attachTypes, ...(rules.attachDefault === undefined ? [] : [0])];
        expect(new Set(accepted)).toEqual(new Set(expected));
      } else if (rules.type === ProgType.Syscall) {
        expect(accepted).toEqual([0]);
      } else {
        expect(accepted).toEqual(Object.values(AttachType));
      }
    },
  );

  test.each([...plainCases, ...btfCases()])('sleep of $label', (one) => {
    const rules = rulesOf(one.type);
    if (!rules) throw new Error('no rules');
    const insns = [mov(0, okReturn(rules, one.attach)), exit];
    const verdict = loadRaw({ ...one, flags: (one.flags ?? 0) | ProgFlag.Sleepable, insns });
    const { sleepable } = rules;
    const expected = Array.isArray(sleepable) ? sleepable.includes(one.attach) : sleepable !== undefined;
    // bpf_dummy_ops asks for itself which of its members may sleep.
    if (one.structOps?.struct === 'bpf_dummy_ops') return;
    expect(verdict.errno === 0, verdict.log).toBe(expected);
    const awake = loadRaw({ ...one, flags: 0, insns });
    expect(awake.errno === 0, awake.log).toBe(sleepable !== 'always');
  });

  test.each(plainCases)('packets and LD_ABS in $label', (one) => {
    const rules = rulesOf(one.type);
    if (rules?.context.kind !== 'fields' && rules?.context.kind !== 'memory') throw new Error('no layout');
    const end = [mov(0, okReturn(rules, one.attach)), exit];
    const load = (insns: Uint8Array[]) => loadRaw({ ...one, insns: [...insns, ...end] });
    // r6 = ctx; r0 = *(u8 *)skb[0]
    const absolute = load([movReg(6, 1), insn(0x30, 0, 0, 0, 0)]);
    expect(absolute.errno === 0, absolute.log).toBe(rules.packetLoads === true);
    const field = (kind: ContextPointer['kind']) =>
      rules.context.kind === 'fields'
        ? rules.context.fields.find(({ yields }) => yields?.kind === kind)
        : undefined;
    const [start, last] = [field('packet'), field('packet-end')];
    if (!start || !last) {
      expect(rules.packet).toBeUndefined();
      return;
    }
    // r2 = data; r3 = data_end; if r2 + 8 <= r3 …
    const bounds = [
      ldx(start.size, 2, 1, start.offset),
      ldx(last.size, 3, 1, last.offset),
      movReg(4, 2),
      insn(0x07, 4, 0, 0, 8),
      insn(0x2d, 4, 3, 1, 0),
    ];
    const reads = load([...bounds, ldx(1, 5, 2, 0)]);
    expect(reads.errno === 0, reads.log).toBe(rules.packet !== undefined);
    const writes = load([...bounds, st(1, 2, 0, 1)]);
    expect(writes.errno === 0, writes.log).toBe(rules.packet?.write === true);
  });

  test.each(plainCases)('pointers that loads give in $label', (one) => {
    const rules = rulesOf(one.type);
    if (!rules || (rules.context.kind !== 'fields' && rules.context.kind !== 'memory'))
      throw new Error('no layout');
    for (const field of rules.context.fields ?? []) {
      const access = field.read;
      if (!access || (access.attach && !access.attach.includes(one.attach))) continue;
      const size = access.orBytes ?? Math.min(field.unit ?? field.size, 8);
      const insns = [ldx(size, 2, 1, field.offset), mov(0, okReturn(rules, one.attach)), exit];
      const { errno, log } = loadRaw({ ...one, insns, logLevel: 2 });
      expect(errno, log).toBe(0);
      const state = /^0: \(\w+\).*; (.*)$/m.exec(log)?.[1] ?? log;
      const pointer = /R2=([a-z_]+)\(/.exec(state)?.[1];
      const found = pointer === undefined || pointer === 'scalar' ? undefined : pointer;
      expect(found, `${field.name}: ${state}`).toBe(field.yields && logged(field.yields));
    }
  });

  test.each(plainCases)('packet memory as an argument in $label', (one) => {
    const rules = rulesOf(one.type);
    const fields = rules?.context.kind === 'fields' ? rules.context.fields : [];
    const start = fields.find(({ yields }) => yields?.kind === 'packet');
    const last = fields.find(({ yields }) => yields?.kind === 'packet-end');
    if (!rules || !start || !last) return;
    // r2 = data; r3 = data_end; if r2 + 8 <= r3: helper(…)
    const bounds = [
      ldx(start.size, 2, 1, start.offset),
      ldx(last.size, 3, 1, last.offset),
      movReg(4, 2),
      insn(0x07, 4, 0, 0, 8),
      insn(0x2d, 4, 3, 4, 0),
    ];
    const end = [mov(0, okReturn(rules, one.attach)), exit];
    // bpf_trace_printk(data, 8): no packet access of its own.
    const plain = loadRaw({
      ...one,
      insns: [...bounds, movReg(1, 2), mov(2, 8), call(6), mov(0, 0), ...end],
    });
    expect(plain.errno === 0, plain.log).toBe(rules.packetToHelpers === 'any');
    expect(plain.errno === 0 || plain.log.includes('helper access to the packet is not allowed')).toBe(true);
    // bpf_map_lookup_elem(map, data) has it.
    const map = createRaw(MapType.Array, 4, 8, 1);
    const key = loadRaw({
      ...one,
      insns: [...bounds, ...[ldMap(1, map), mov(5, 0)], call(1), mov(0, 0), ...end],
    });
    closeRaw(map);
    expect(key.errno === 0, key.log).toBe(rules.packetToHelpers !== 'none');
  });

  test.each([...plainCases, ...btfCases()])('return values of $label', (one) => {
    const rules = rulesOf(one.type);
    const range = rules && rangeOf(rules, one.attach);
    if (!rules || range === 'hook' || range === undefined) throw new Error('no range');
    const returns = (value: number) =>
      loadRaw({ ...one, insns: [mov(0, value), exit], logLevel: 0 }).errno === 0;
    // Functions of struct_ops that return nothing take any value as well.
    const [least, most] = Array.isArray(range) ? range : [-1000000, 1000000];
    expect(returns(least)).toBe(true);
    expect(returns(most)).toBe(true);
    if (Array.isArray(range)) {
      expect(returns(least - 1)).toBe(false);
      expect(returns(most + 1)).toBe(false);
    }
  });
});
