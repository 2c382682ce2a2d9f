// Arguments of tracepoints and iterators, one load each, against the kernel of this machine.

import { expect, test } from 'vitest';
import { AttachType, ProgType } from '../../src/bpf/types.js';
import type { BtfFuncProto } from '../../src/btf/index.js';
import { iteratorMeta, iteratorRules, iterators } from '../../src/kernel/verifier/tables/iterators.js';
import { safeFields, structOpsWrites } from '../../src/kernel/verifier/tables/kernel-structs.js';
import { tracepointArgument } from '../../src/kernel/verifier/tables/tracepoints.js';
import type { ContextPointer } from '../../src/kernel/verifier/tables/types.js';
import { missingKernel, needs } from '../require.js';
import { exit, kernelBtf, ldx, loadRaw, mov, stx } from './raw.js';

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  const btf = kernelBtf();
  /** What r2 is after a load of 8 bytes from the context. */
  const loaded = (attach: AttachType, btfId: number, slot: number): string | undefined => {
    const { log, errno } = loadRaw({
      type: ProgType.Tracing,
      attach,
      btfId,
      insns: [ldx(8, 2, 1, 8 * slot), mov(0, 0), exit],
      logLevel: 2,
    });
    if (errno && !log.includes('invalid bpf_context access')) throw new Error(log);
    return errno ? undefined : /R2=(\w+)/.exec(log)?.[1];
  };
  const skip = (id: number): number => {
    let at = id;
    for (;;) {
      const type = btf.type(at);
      if (!['CONST', 'VOLATILE', 'RESTRICT', 'TYPEDEF', 'TYPE_TAG'].includes(type.kind)) return at;
      at = (type as { type: number }).type;
    }
  };

  test('arguments of every tracepoint', () => {
    let looked = 0;
    for (let id = 1; id < btf.typeCount; id++) {
      if (btf.kind(id) !== 'TYPEDEF' || !btf.nameOf(id).startsWith('btf_trace_')) continue;
      const name = btf.nameOf(id).slice('btf_trace_'.length);
      const pointer = btf.type((btf.type(id) as { type: number }).type) as { type: number };
      const { params } = btf.type(pointer.type) as BtfFuncProto;
      // The first parameter is the program's own data.
      params.slice(1).forEach((param, index) => {
        const type = btf.type(skip(param.type));
        if (type.kind !== 'PTR') return;
        const target = btf.type(skip(type.type));
        const found = loaded(AttachType.TraceRawTp, id, index);
        const special = tracepointArgument(name, index);
        const expected =
          target.kind === 'FUNC_PROTO'
            ? undefined
            : (target.kind !== 'STRUCT' && target.kind !== 'UNION') || special === 'number'
              ? 'scalar'
              : `trusted_ptr_${special === 'nullable' ? 'or_null_' : ''}${target.name}`;
        expect(found, `${name} argument ${index}`).toBe(expected);
        looked++;
      });
    }
    expect(looked).toBeGreaterThan(1000);
  });

  interface Member {
    name: string;
    offset: number;
    /** The structure that it points to. */
    target: string;
  }
  /** Pointers to structures in a structure, those in structures inside of it included. */
  function pointers(id: number, base = 0): Member[] {
    const type = btf.type(id);
    if (type.kind !== 'STRUCT') return [];
    return type.members.flatMap(({ name, bitOffset, type: member }) => {
      const offset = base + bitOffset / 8;
      const inner = btf.type(skip(member));
      if (inner.kind === 'STRUCT') return pointers(inner.id, offset);
      const target = inner.kind === 'PTR' ? btf.type(skip(inner.type)) : undefined;
      if (target?.kind !== 'STRUCT' && target?.kind !== 'UNION') return [];
      return [{ name, offset, target: target.name }];
    });
  }

  test('pointers that are loaded from kernel structures', () => {
    // A tracepoint that hands out a trusted pointer, for as many structures as there are.
    const found = new Map<string, { id: number; btfId: number; index: number }>();
    for (let id = 1; id < btf.typeCount; id++) {
      if (btf.kind(id) !== 'TYPEDEF' || !btf.nameOf(id).startsWith('btf_trace_')) continue;
      const pointer = btf.type((btf.type(id) as { type: number }).type) as { type: number };
      const { params } = btf.type(pointer.type) as BtfFuncProto;
      params.slice(1).forEach((param, index) => {
        const type = btf.type(skip(param.type));
        const target = type.kind === 'PTR' ? btf.type(skip(type.type)) : undefined;
        const special = tracepointArgument(btf.nameOf(id).slice('btf_trace_'.length), index);
        if (target?.kind === 'STRUCT' && target.name && !special && !found.has(target.name)) {
          found.set(target.name, { id: target.id, btfId: id, index });
        }
      });
    }
    let looked = 0;
    let safe = 0;
    for (const [struct, { id, btfId, index }] of found) {
      // All of a structure that has rules, some of the others.
      const members = safeFields[struct] ? pointers(id) : pointers(id).slice(0, 1);
      for (const { name, offset, target } of members) {
        const { log, errno } = loadRaw({
          type: ProgType.Tracing,
          attach: AttachType.TraceRawTp,
          btfId,
          insns: [ldx(8, 2, 1, 8 * index), ldx(8, 3, 2, offset), mov(0, 0), exit],
          logLevel: 2,
        });
        expect(errno, `${struct}.${name}: ${log}`).toBe(0);
        const rule = safeFields[struct]?.[name];
        const prefix = { trusted: 'trusted_ptr_', rcu: 'rcu_ptr_' };
        const expected =
          rule === undefined
            ? `ptr_${target}`
            : `${prefix[rule.replace('-or-null', '') as keyof typeof prefix]}${rule.endsWith('null') ? 'or_null_' : ''}${target}`;
        expect(/R3=(\w+)/.exec(log)?.[1], `${struct}.${name}`).toBe(expected);
        looked++;
        if (rule) safe++;
      }
    }
    expect(looked).toBeGreaterThan(100);
    expect(safe).toBeGreaterThan(8);
  });

  test('what a congestion control may write', () => {
    const ops = btf.findByName('tcp_congestion_ops', 'STRUCT') ?? 0;
    const type = btf.type(ops);
    const tcpSock = btf.findByName('tcp_sock', 'STRUCT') ?? 0;
    if (type.kind !== 'STRUCT') throw new Error('no tcp_congestion_ops');
    const member = type.members.findIndex(({ name }) => name === 'init');
    /** First byte and last-plus-one of a field, by its path. */
    const place = (struct: number, path: string): [number, number] => {
      const [first = '', ...rest] = path.split('.');
      const composite = btf.type(skip(struct));
      if (composite.kind !== 'STRUCT' && composite.kind !== 'UNION') throw new Error(path);
      for (const one of composite.members) {
        if (one.name === first) {
          const at = one.bitOffset / 8;
          if (rest.length === 0) return [at, at + Math.max(btf.sizeOf(one.type), 1)];
          const [from, to] = place(one.type, rest.join('.'));
          return [at + from, at + to];
        }
      }
      throw new Error(`no ${path}`);
    };
    const writes = structOpsWrites.tcp_congestion_ops;
    if (!Array.isArray(writes)) throw new Error('no rows');
    const allowed = writes.map((row) => {
      const [from, to] = place(btf.findByName(row.struct, 'STRUCT') ?? 0, row.field);
      return { ...row, from, to };
    });
    let accepted = 0;
    for (let offset = 0; offset + 8 <= btf.sizeOf(tcpSock); offset += 4) {
      // Narrower stores end where wider ones do.
      for (const size of [4, 8]) {
        if (offset % size !== 0) continue;
        const insns = [ldx(8, 2, 1, 0), mov(3, 0), stx(size, 2, offset, 3), mov(0, 0), exit];
        const verdict = { type: ProgType.StructOps, attach: member as AttachType, btfId: ops, insns };
        const ok = loadRaw({ ...verdict, logLevel: 0 }).errno === 0;
        const expected = allowed.some(
          ({ from, to, anywhere }) =>
            (anywhere ? offset >= from && offset < to : offset === from) && offset + size <= to,
        );
        if (ok !== expected) expect(ok, `${size} at ${offset}: ${loadRaw(verdict).log}`).toBe(expected);
        if (ok) accepted++;
      }
    }
    expect(accepted).toBeGreaterThan(10);
  });

  const shown = (pointer: ContextPointer | undefined): string => {
    if (!pointer) return 'scalar';
    const { kind, btf: name, trusted, nullable, readOnly } = pointer;
    const orNull = nullable ? 'or_null' : '';
    if (kind === 'buffer') return `${readOnly ? 'rdonly_' : ''}buf${orNull && `_${orNull}`}`;
    return `${trusted ? 'trusted_' : ''}ptr_${orNull && `${orNull}_`}${name}`;
  };

  test('contexts of iterators', () => {
    const targets = iterators.filter(({ name }) => btf.findByName(`bpf_iter_${name}`, 'FUNC') !== undefined);
    expect(targets.length).toBeGreaterThan(10);
    for (const { name, slots } of targets) {
      const id = btf.findByName(`bpf_iter_${name}`, 'FUNC') ?? 0;
      expect(loaded(AttachType.TraceIter, id, 0), name).toBe(shown(iteratorMeta));
      slots.forEach((slot, i) => {
        expect(loaded(AttachType.TraceIter, id, i + 1), `${name} slot ${i + 1}`).toBe(shown(slot));
      });
      expect(loaded(AttachType.TraceIter, id, slots.length + 1), name).toBeUndefined();
    }
    // No iterator of this kernel is without a row.
    for (let id = 1; id < btf.typeCount; id++) {
      const name = btf.nameOf(id);
      if (btf.kind(id) !== 'FUNC' || !name.startsWith('bpf_iter_')) continue;
      const { errno } = loadRaw({
        type: ProgType.Tracing,
        attach: AttachType.TraceIter,
        btfId: id,
        insns: [mov(0, 0), exit],
        logLevel: 0,
      });
      expect(errno === 0, name).toBe(iteratorRules(name) !== undefined);
    }
  });
});
