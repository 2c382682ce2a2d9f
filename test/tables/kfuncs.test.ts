// Kernel functions: which programs may call which, and which of them sleep, as the table and the kernel of this
// machine have it.

import { expect, test } from 'vitest';
import { ProgFlag, type ProgType } from '../../src/bpf/types.js';
import { kernelTypes } from '../../src/kernel/types/index.js';
import { kfuncParameter } from '../../src/kernel/verifier/tables/kfunc-parameters.js';
import { kfunc, kfuncs, mayCallKfunc } from '../../src/kernel/verifier/tables/kfuncs.js';
import { missingKernel, needs } from '../require.js';
import { btfCases, plainCases } from './cases.js';
import { exit, insn, kernelBtf, loadRaw, mov } from './raw.js';

test('flags go together', () => {
  const names = kfuncs.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  const words = 'acquire release retNull trustedArgs sleepable rcu rcuProtected fastcall destructive';
  const known = new Set([...words.split(' '), 'iterator', 'arenaReturn', 'arenaArg1', 'arenaArg2']);
  for (const { name, flags } of kfuncs) {
    for (const flag of Object.keys(flags)) expect(known, name).toContain(flag);
    // An iterator has all three, and its end is NULL.
    const iterator = /^bpf_iter_(\w+)_(new|next|destroy)$/.exec(name);
    if (iterator) {
      expect(flags.iterator, name).toBe(iterator[2]);
      for (const part of ['new', 'next', 'destroy'])
        expect(kfunc(`bpf_iter_${iterator[1]}_${part}`)).toBeDefined();
    }
    if (flags.iterator === 'next') expect(flags.retNull, name).toBe(true);
  }
});

test('those that keep registers are tagged so in the kernel', async () => {
  const btf = await kernelTypes();
  const tagged = btf.idsByName('bpf_fastcall').map((id) => {
    const tag = btf.type(id);
    return tag.kind === 'DECL_TAG' ? btf.nameOf(tag.type) : '';
  });
  expect(tagged.sort()).toEqual(kfuncs.flatMap(({ name, flags }) => (flags.fastcall ? [name] : [])).sort());
});

test("what parameters' names say is known, and sizes follow memory", async () => {
  const btf = await kernelTypes();
  let named = 0;
  for (const { name } of kfuncs) {
    const func = btf.type(btf.findByName(name, 'FUNC') ?? 0);
    const proto = func.kind === 'FUNC' ? btf.type(func.type) : undefined;
    if (proto?.kind !== 'FUNC_PROTO') throw new Error(name);
    proto.params.forEach((param, i) => {
      const rule = kfuncParameter(param.name);
      expect(rule !== undefined, `${name}(${param.name})`).toBe(/[a-z0-9_]__[a-z_]+$/.test(param.name));
      if (rule) named++;
      if (rule !== 'size' && rule !== 'const-size') return;
      const before = btf.kind(btf.skipModifiers(proto.params[i - 1]?.type ?? 0));
      expect(before, `${name}(${param.name})`).toBe('PTR');
    });
  }
  expect(named).toBeGreaterThan(80);
});

needs('the kernel of this machine', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  /** Ids of the functions that the kernel's BTF marks. */
  const tagged = (): Map<string, number> => {
    const btf = kernelBtf();
    const ids = new Map<string, number>();
    for (const id of btf.idsByName('bpf_kfunc')) {
      const tag = btf.type(id);
      if (tag.kind !== 'DECL_TAG' || tag.componentIndex !== -1) continue;
      ids.set(btf.nameOf(tag.type), tag.type);
    }
    return ids;
  };
  const ids = tagged();

  test('every kfunc of this kernel has a row', () => {
    expect(ids.size).toBeGreaterThan(150);
    expect([...ids.keys()].filter((name) => !kfunc(name))).toEqual([]);
  });

  test('results and references of kfuncs that only take numbers', () => {
    const btf = kernelBtf();
    const looked: string[] = [];
    for (const [name, id] of ids) {
      const row = kfunc(name);
      const func = btf.type(id);
      const proto = func.kind === 'FUNC' ? btf.type(func.type) : undefined;
      if (!row || proto?.kind !== 'FUNC_PROTO') continue;
      const kinds = proto.params.map(({ type }) => btf.kind(btf.skipModifiers(type)));
      const numbers = kinds.every((kind) => kind === 'INT' || kind === 'ENUM');
      if (!numbers || btf.kind(btf.skipModifiers(proto.returnType)) !== 'PTR') continue;
      const args = proto.params.map((_, i) => mov(i + 1, 0));
      const one = [...plainCases, ...btfCases()].find(({ type, attach }) => mayCallKfunc(row, type, attach));
      if (!one) continue;
      const { log, errno } = loadRaw({
        ...one,
        flags: row.flags.sleepable ? ProgFlag.Sleepable : (one.flags ?? 0),
        insns: [...args, insn(0x85, 0, 2, 0, id), mov(1, 0), mov(0, 0), exit],
        logLevel: 2,
      });
      const after = new RegExp(`call ${name}#\\d+ .*?; (.*)`).exec(log)?.[1];
      if (after === undefined) continue;
      expect(/R0=\w*or_null/.test(after), `${name}: ${log}`).toBe(row.flags.retNull === true);
      expect(errno !== 0 && log.includes('Unreleased reference'), `${name}: ${log}`).toBe(
        row.flags.acquire === true,
      );
      looked.push(name);
    }
    expect(looked.length).toBeGreaterThan(3);
  });

  test.each([...plainCases, ...btfCases()])('kfuncs in $label', (one) => {
    let looked = 0;
    for (const [name, id] of ids) {
      const row = kfunc(name);
      if (!row) continue;
      const sleepable = ((one.flags ?? 0) & ProgFlag.Sleepable) !== 0;
      const { log, errno } = loadRaw({ ...one, insns: [insn(0x85, 0, 2, 0, id), mov(0, 0), exit] });
      // Some are meant for a device, or for a program of a flag that this one has not.
      if (/device-bound/.test(log)) {
        expect(row.filter, name).toBe('device-bound');
        continue;
      }
      const refused = log.includes(`calling kernel function ${name} is not allowed`);
      const expected = mayCallKfunc(row, one.type as ProgType, one.attach);
      expect(refused, `${name}: errno ${errno} ${log}`).toBe(!expected);
      if (!refused && !sleepable) {
        expect(log.includes('must be sleepable'), `${name}: ${log}`).toBe(row.flags.sleepable === true);
      }
      looked++;
    }
    expect(looked).toBeGreaterThan(150);
  });
});
