// Rewriting beside the kernel of this machine: every field of every context that may be read or written, in every size, and
// every call of a helper for every type of map.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Fd, MapCreateAttr, ProgInfo, ProgLoadAttr } from '../../src/bpf/bpf.js';
import { BpfError } from '../../src/bpf/errno.js';
import {
  type AttachType,
  MapFlag,
  MapType,
  mapTypeName,
  ProgType,
  progTypeName,
} from '../../src/bpf/types.js';
import { dumpXlated, KernelSymbols } from '../../src/bpftool/dump/index.js';
import { assembleUnit, encode } from '../../src/isa/index.js';
import { show } from '../../src/kernel/shown.js';
import { kallsyms } from '../../src/kernel/symbols.js';
import { kernelTypes } from '../../src/kernel/types/index.js';
import { type VerifierMap, verify } from '../../src/kernel/verifier/index.js';
import { contextAccess, programRules } from '../../src/kernel/verifier/tables/contexts/index.js';
import type { ContextField, FieldContext } from '../../src/kernel/verifier/tables/types.js';
import { LinuxKernel } from '../../src/linux/index.js';
import { missingKernel, needs } from '../require.js';
import { dumpOf, withoutNumbers } from '../verifier/xlated.js';

/** Where two dumps part: the lines from there on. */
function difference({ live, ours }: { live: string; ours: string }) {
  const [theirs, mine] = [live.split('\n'), ours.split('\n')];
  const at = theirs.findIndex((line, i) => line !== mine[i]);
  return live === ours ? undefined : { live: theirs.slice(at - 3, at + 8), ours: mine.slice(at - 3, at + 8) };
}

const plain = { opcodes: false, linum: false };

needs('rewriting', missingKernel(), 'SKEP_REQUIRE_KERNEL', () => {
  let linux: LinuxKernel;
  let kernelSymbols: KernelSymbols;
  beforeAll(async () => {
    linux = new LinuxKernel();
    kernelSymbols = KernelSymbols.parse(await linux.readFile('/proc/kallsyms'));
  });
  afterAll(() => linux[Symbol.dispose]());

  /** What both show; undefined where both refuse the program. */
  async function both(attr: ProgLoadAttr, maps = new Map<Fd, VerifierMap>()) {
    const verdict = await verify(
      { ...attr, flags: 0, expectedAttachType: (attr.expectedAttachType ?? 0) as AttachType, name: '' },
      {
        map: (fd) => maps.get(fd),
        btf: () => undefined,
        kernelTypes,
        capabilities: { bpf: true, perfmon: true, netAdmin: true, sysAdmin: true },
        cpus: 2,
        logLevel: 1,
      },
    );
    let fd: Fd;
    try {
      fd = await linux.progLoad(attr);
    } catch (error) {
      if (!(error instanceof BpfError) || verdict.accepted) {
        throw new Error(`only Linux refuses a program of type ${attr.type}`, { cause: error });
      }
      return undefined;
    }
    try {
      expect(verdict.accepted, verdict.log).toBe(true);
      const live = withoutNumbers(
        dumpXlated(
          { info: {} as ProgInfo, dump: await linux.progDump(fd), symbols: kernelSymbols },
          plain,
        ).text(),
      );
      const shown = await show({
        facts: verdict.facts,
        xlated: attr.instructions,
        ...{ id: 1, name: '', tag: '', btf: undefined, funcInfo: undefined, lineInfo: undefined },
      });
      const symbols = KernelSymbols.parse(new TextEncoder().encode(kallsyms([])));
      const ours = dumpXlated({ info: {} as ProgInfo, dump: dumpOf(shown), symbols }, plain).text();
      return { live, ours: withoutNumbers(ours) };
    } finally {
      await linux.close(fd);
    }
  }

  /** Every access to a field that is allowed, as instructions; r6 is the context. */
  function accesses(context: FieldContext, field: ContextField, attach: AttachType): string[] {
    const found: string[] = [];
    for (const size of [1, 2, 4, 8]) {
      for (let offset = field.offset; offset < field.offset + field.size; offset += size) {
        const access = { offset, size };
        const at = `(u${size * 8} *)(r1 + ${offset})`;
        if (contextAccess(context, { ...access, write: false }, attach)) {
          found.push(
            `r1 = r6\nr2 = *${at}`,
            `r1 = r6\nr1 = *${at}`,
            `r9 = r6\nr9 = *${at.replace('r1', 'r9')}`,
          );
          if (size < 8 && contextAccess(context, { ...access, write: false, signExtend: true }, attach))
            found.push(`r1 = r6\nr2 = *${at.replace('u', 's')}`);
        }
        if (contextAccess(context, { ...access, write: true }, attach))
          found.push(
            `r1 = r6\nr2 = 1\n*${at} = r2`,
            `r1 = r6\n*${at} = 1`,
            `r9 = 1\nr8 = r6\n*${at.replace('r1', 'r8')} = r9`,
          );
      }
    }
    return found;
  }

  const contexts = programRules.flatMap(({ type, context, attachTypes = [0 as AttachType] }) =>
    context.kind === 'fields' && type !== ProgType.LircMode2
      ? attachTypes.map((attach) => ({ name: `${progTypeName(type)} ${attach}`, type, attach, context }))
      : [],
  );

  test.each(contexts)('accesses to the context of $name', async ({ type, attach, context }) => {
    const load = (fields: readonly ContextField[]) =>
      both({
        type,
        license: 'GPL',
        // What the program may return differs; 1 is always allowed.
        instructions: encode(
          assembleUnit(
            `r6 = r1\n${fields.flatMap((field) => accesses(context, field, attach)).join('\n')}\nr0 = 1\nexit`,
          ).insns,
        ),
        expectedAttachType: attach,
      });
    // All at once; one by one where some may not be accessed like this.
    const all = await load(context.fields);
    if (all) expect(difference(all)).toBeUndefined();
    for (const field of all ? [] : context.fields) {
      const shown = await load([field]);
      if (shown) expect(difference(shown), field.name).toBeUndefined();
    }
  });

  const { NoPrealloc } = MapFlag;
  const maps: MapCreateAttr[] = [
    { type: MapType.Array, keySize: 4, valueSize: 12, maxEntries: 5 },
    { type: MapType.Array, keySize: 4, valueSize: 40, maxEntries: 1 },
    { type: MapType.PercpuArray, keySize: 4, valueSize: 12, maxEntries: 5 },
    { type: MapType.Hash, keySize: 4, valueSize: 12, maxEntries: 5 },
    { type: MapType.PercpuHash, keySize: 4, valueSize: 12, maxEntries: 5 },
    { type: MapType.LruHash, keySize: 4, valueSize: 12, maxEntries: 64 },
    { type: MapType.LruPercpuHash, keySize: 4, valueSize: 12, maxEntries: 64 },
    { type: MapType.LpmTrie, keySize: 8, valueSize: 12, maxEntries: 5, flags: NoPrealloc },
    { type: MapType.Queue, keySize: 0, valueSize: 12, maxEntries: 5 },
    { type: MapType.Stack, keySize: 0, valueSize: 12, maxEntries: 5 },
    { type: MapType.BloomFilter, keySize: 0, valueSize: 12, maxEntries: 5 },
    { type: MapType.Devmap, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.DevmapHash, keySize: 4, valueSize: 8, maxEntries: 5 },
    { type: MapType.Cpumap, keySize: 4, valueSize: 4, maxEntries: 2 },
    { type: MapType.Xskmap, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.Sockmap, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.Sockhash, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.ReuseportSockarray, keySize: 4, valueSize: 8, maxEntries: 5 },
    { type: MapType.StackTrace, keySize: 4, valueSize: 80, maxEntries: 5 },
    { type: MapType.CgroupArray, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.ProgArray, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.PerfEventArray, keySize: 4, valueSize: 4, maxEntries: 2 },
    { type: MapType.ArrayOfMaps, keySize: 4, valueSize: 4, maxEntries: 5 },
    { type: MapType.HashOfMaps, keySize: 4, valueSize: 4, maxEntries: 5 },
  ];

  /** Helpers for maps, by number, with what goes into their registers after the map: a key, a value, a number. */
  const helpers: readonly (readonly [name: string, id: number, ...args: ('key' | 'value' | number)[]])[] = [
    ['map_lookup_elem', 1, 'key'],
    ['map_update_elem', 2, 'key', 'value', 0],
    ['map_delete_elem', 3, 'key'],
    ['redirect_map', 51, 0, 0],
    ['map_push_elem', 87, 'value', 0],
    ['map_pop_elem', 88, 'value'],
    ['map_peek_elem', 89, 'value'],
    ['map_lookup_percpu_elem', 195, 'key', 0],
  ];

  /** No helper of these takes them. */
  const uncalled: readonly MapType[] = [
    MapType.ReuseportSockarray,
    MapType.StackTrace,
    MapType.CgroupArray,
    MapType.ProgArray,
    MapType.PerfEventArray,
  ];
  const types = [
    ProgType.Xdp,
    ProgType.SchedCls,
    ProgType.Kprobe,
    ProgType.SkSkb,
    ProgType.SockOps,
    ProgType.SkReuseport,
  ];
  test.each(maps)('calls of helpers for a map ($type)', async (attr) => {
    const isOuter = attr.type === MapType.ArrayOfMaps || attr.type === MapType.HashOfMaps;
    const innerAttr: MapCreateAttr = { type: MapType.Array, keySize: 4, valueSize: 8, maxEntries: 2 };
    const seen = (one: MapCreateAttr): VerifierMap => ({
      ...{ id: 1, name: '', frozen: false, flags: 0 },
      ...one,
      type: one.type as MapType,
      ...(one === attr && isOuter ? { inner: seen(innerAttr) } : {}),
    });
    let compared = 0;
    for (const type of types) {
      // Some maps remember the type of the first program that used them.
      const inner = isOuter ? await linux.mapCreate(innerAttr) : undefined;
      const fd = await linux.mapCreate({ ...attr, ...(inner === undefined ? {} : { innerMapFd: inner }) });
      for (const [name, id, ...args] of helpers) {
        const words: Record<string, string> = { key: 'r10\nr# += -16', value: 'r10\nr# += -64' };
        const registers = args.map((arg, i) => `r# = ${words[arg] ?? arg}`.replaceAll('#', String(i + 2)));
        const zero = Array.from({ length: 10 }, (_, i) => `*(u64 *)(r10 - ${8 * (i + 1)}) = r0`);
        const text = [
          'r0 = 0',
          ...zero,
          `ld_pseudo r1, 1, ${fd}`,
          ...registers,
          `call ${id}`,
          'r0 = 1',
          'exit',
        ];
        const instructions = encode(assembleUnit(text.join('\n')).insns);
        const shown = await both({ type, license: 'GPL', instructions }, new Map([[fd, seen(attr)]]));
        if (!shown) continue;
        compared++;
        expect(difference(shown), `${mapTypeName(attr.type as MapType)} ${name}`).toBeUndefined();
      }
      await linux.close(fd);
      if (inner !== undefined) await linux.close(inner);
    }
    if (!uncalled.includes(attr.type as MapType)) expect(compared).toBeGreaterThan(0);
  });
});
