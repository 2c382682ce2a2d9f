// The structures of bpf(2) as src/linux writes them, against the BTF of the running kernel: every field of the table
// lies where the kernel's own type has it, and is as wide.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Btf } from '../../src/btf/index.js';
import { attributes, type Fields, infos, perf } from '../../src/linux/attributes.js';
import { missingKernel, needs } from '../require.js';

const widths = { u32: 4, u64: 8, ptr: 8, name: 16, tag: 8 };

interface Place {
  offset: number;
  size: number;
}

needs('the attribute structures', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  const btf = Btf.parse(new Uint8Array(readFileSync('/sys/kernel/btf/vmlinux')));

  /** Fields of a struct or union by name, `outer.inner` within a named one; anonymous ones' fields are its own. */
  const fields = (
    id: number,
    base = 0,
    prefix = '',
    found = new Map<string, Place>(),
  ): Map<string, Place> => {
    const type = btf.type(btf.skipModifiers(id));
    if (type.kind !== 'STRUCT' && type.kind !== 'UNION') return found;
    for (const member of type.members) {
      const offset = base + (member.bitOffset >> 3);
      const name = prefix + member.name;
      if (member.name !== '') found.set(name, { offset, size: btf.sizeOf(member.type) });
      fields(member.type, offset, member.name === '' ? prefix : `${name}.`, found);
    }
    return found;
  };

  const structure = (name: string, kind: 'STRUCT' | 'UNION'): number => {
    const id = btf.findByName(name, kind);
    if (id === undefined) throw new Error(`the kernel has no ${name}`);
    return id;
  };

  const places = (table: Fields): Record<string, Place> =>
    Object.fromEntries(
      Object.entries(table).map(([name, [offset, kind]]) => [name, { offset, size: widths[kind] }]),
    );

  /** What the kernel says about the same names. */
  const same = (table: Fields, kernel: ReadonlyMap<string, Place>): Record<string, Place | undefined> =>
    Object.fromEntries(Object.keys(table).map((name) => [name, kernel.get(name)]));

  test.each(Object.entries(attributes))('are as in the kernel: %s', (_name, table) => {
    const union = btf.type(structure('bpf_attr', 'UNION'));
    if (union.kind !== 'UNION') throw new Error('bpf_attr is no union');
    // The part of the union that knows most of these names; named parts are under their names.
    const parts = union.members.map((member) =>
      fields(member.type, 0, member.name === '' ? '' : `${member.name}.`),
    );
    const known = (part: ReadonlyMap<string, Place>) =>
      Object.keys(table).filter((name) => part.has(name)).length;
    parts.sort((a, b) => known(b) - known(a));
    expect(places(table)).toEqual(same(table, parts[0] ?? new Map()));
  });

  test.each(Object.entries({ ...infos, ...perf }))('are as in the kernel: struct %s', (name, table) => {
    expect(places(table)).toEqual(same(table, fields(structure(name, 'STRUCT'))));
  });
});
