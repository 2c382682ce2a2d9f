// What a load asks the verifier, and what becomes of its answer: descriptors lead to this kernel's maps and BTF, and a
// rejection is Linux's errno with Linux's log.

import type { Fd, ProgLoadAttr } from '../bpf/bpf.js';
import { BpfError, type Errno } from '../bpf/errno.js';
import type { AttachType } from '../bpf/types.js';
import { LOAD } from './load-checks.js';
import type { LoadView } from './load-view.js';
import type { KernelMap } from './maps/index.js';
import { POINTER_BASE } from './memory/memory.js';
import type { KernelMapObject } from './objects.js';
import { kernelTypes } from './types/index.js';
import { type Environment, type Verdict, type VerifierMap, verify } from './verifier/index.js';
import { recordOf } from './verifier/records.js';

/** Level of the log that is kept of a rejection when the load asked for none. */
const REASON = 1;

/** The map as the verifier sees it. */
function describe(object: KernelMapObject, maps: Map<KernelMap, VerifierMap>): VerifierMap {
  const { map, attr, btf } = object;
  const known = maps.get(map);
  if (known) return known;
  const typeId = attr.btfValueTypeId ?? 0;
  const record = btf && typeId ? recordOf(btf.btf, typeId) : undefined;
  const described: VerifierMap = {
    ...shapeOf(map),
    id: map.id,
    address: POINTER_BASE + BigInt(map.address),
    ...(btf ? { btf: btf.btf, btfKeyTypeId: attr.btfKeyTypeId ?? 0, btfValueTypeId: typeId } : {}),
    ...(record ? { record } : {}),
    // What stands for all inner maps has no name.
    ...(map.inner ? { inner: { ...shapeOf(map.inner), name: '' } } : {}),
    readConstant: (offset, size) => {
      const value = map.lookup(new Uint8Array(4));
      if (offset < 0 || offset + size > value.length) return undefined;
      let number = 0n;
      for (let i = size - 1; i >= 0; i--) number = (number << 8n) | BigInt(value[offset + i] as number);
      return number;
    },
  };
  maps.set(map, described);
  return described;
}

function shapeOf(map: KernelMap): VerifierMap {
  const { id, name, type, keySize, valueSize, maxEntries, flags, frozen } = map;
  return { id, name, type, keySize, valueSize, maxEntries, flags, frozen };
}

/** Verifies a load; what is rejected throws a BpfError with the log. An accepted one returns the log that was asked for. */
export async function verifyLoad(
  attr: ProgLoadAttr,
  view: LoadView,
  cpus: number,
  isRoot: boolean,
): Promise<Verdict> {
  const maps = new Map<KernelMap, VerifierMap>();
  const map = (fd: Fd) => {
    const object = view.find(fd, 'map');
    return object && describe(object, maps);
  };
  const program = {
    ...attr,
    flags: attr.flags ?? 0,
    expectedAttachType: (attr.expectedAttachType ?? 0) as AttachType,
    name: attr.name ?? '',
  };
  const environment = (logLevel: number): Environment => ({
    map,
    btf: (fd) => view.find(fd, 'btf')?.btf,
    kernelTypes,
    capabilities: { bpf: isRoot, perfmon: isRoot, netAdmin: isRoot, sysAdmin: isRoot },
    cpus,
    logLevel,
  });
  const asked = attr.logLevel ?? 0;
  const verdict = await verify(program, environment(asked));
  if (verdict.accepted) return verdict;
  // Without a log nobody would know why.
  const { log } = asked & 3 ? verdict : await verify(program, environment(asked | REASON));
  if (attr.log && asked) attr.log.text = log;
  throw new BpfError(LOAD, verdict.errno as Errno, lastLine(log), log);
}

/** The line that says what was wrong: the last one before the figures. */
function lastLine(log: string): string {
  const lines = log
    .trimEnd()
    .split('\n')
    .filter((line) => !/^(processed \d+ insns|verification time|stack depth)/.test(line));
  return lines[lines.length - 1] ?? '';
}
