// Arguments of tracepoints and iterators, one load each, against the kernel of this machine.

import { expect, test } from 'vitest';
import { AttachType, ProgType } from '../../src/bpf/types.js';
import type { BtfFuncProto } from '../../src/btf/index.js';
import { iteratorMeta, iteratorRules, iterators } from '../../src/kernel/verifier/tables/iterators.js';
import { tracepointArgument } from '../../src/kernel/verifier/tables/tracepoints.js';
import type { ContextPointer } from '../../src/kernel/verifier/tables/types.js';
import { missingKernel, needs } from '../require.js';
import { exit, kernelBtf, ldx, loadRaw, mov } from './raw.js';

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
