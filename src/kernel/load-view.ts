// What a load sees of its process. A load takes a while; the process may close its descriptors meanwhile and open others
// under the same numbers. What was looked at once is what is loaded: it is held until the load has ended.

import type { Fd, ProgLoadAttr } from '../bpf/bpf.js';
import { BpfError, Errno } from '../bpf/errno.js';
import type { Instruction } from '../isa/instruction.js';
import { PseudoSource } from '../isa/opcodes.js';
import { rowOf } from '../isa/table.js';
import type { Descriptors, OpenFile } from './descriptors.js';
import { LOAD } from './load-checks.js';
import type { KernelMapObject, KernelObject, Kind, Kinds } from './objects.js';

export class LoadView implements Disposable {
  readonly #descriptors: Descriptors;
  readonly #seen = new Map<Fd, OpenFile | undefined>();

  constructor(descriptors: Descriptors) {
    this.#descriptors = descriptors;
  }

  /** The object of `kind` behind a descriptor, if that is what it is. */
  find<K extends Kind>(fd: Fd, kind: K): Kinds[K] | undefined {
    let file = this.#seen.get(fd);
    if (!this.#seen.has(fd)) {
      file = this.#descriptors.has(fd) ? this.#descriptors.file(fd, LOAD) : undefined;
      if (file) this.#descriptors.objects.hold(file.object);
      this.#seen.set(fd, file);
    }
    return file?.kind === kind ? (file.object as Kinds[K]) : undefined;
  }

  /** The same, or EBADF or EINVAL. */
  get<K extends Kind>(fd: Fd, kind: K): Kinds[K] {
    const found = this.find(fd, kind);
    if (found) return found;
    const errno = this.#seen.get(fd) ? Errno.EINVAL : Errno.EBADF;
    throw new BpfError(LOAD, errno, `descriptor ${fd} is no ${kind}`);
  }

  [Symbol.dispose](): void {
    for (const file of this.#seen.values()) if (file) this.#descriptors.objects.drop(file.object);
    this.#seen.clear();
  }
}

/** Instructions that name a map by its place in the array of descriptors name it by the descriptor. */
export function withoutIndexes(insns: readonly Instruction[], fdArray: readonly Fd[] = []): Instruction[] {
  const sources: ReadonlyMap<number, number> = new Map([
    [PseudoSource.MAP_IDX, PseudoSource.MAP_FD],
    [PseudoSource.MAP_IDX_VALUE, PseudoSource.MAP_VALUE],
  ]);
  return insns.map((insn) => {
    const src = rowOf(insn)?.semantics.kind === 'loadImm64' ? sources.get(insn.src) : undefined;
    return src === undefined ? insn : { ...insn, src, imm: fdArray[insn.imm] ?? -1 };
  });
}

/** The maps and BTF of the array of descriptors, which the program is to keep (Linux 6.14: process_fd_array). */
export function boundObjects(
  { fdArray = [], fdArrayBind = false }: ProgLoadAttr,
  view: LoadView,
): { maps: KernelMapObject[]; others: KernelObject[] } {
  const maps = new Set<KernelMapObject>();
  const others = new Set<KernelObject>();
  for (const fd of fdArrayBind ? fdArray : []) {
    const map = view.find(fd, 'map');
    const btf = map ? undefined : view.find(fd, 'btf');
    if (map) maps.add(map);
    else if (btf) others.add(btf);
    else throw new BpfError(LOAD, Errno.EINVAL, `descriptor ${fd} of the array is neither a map nor BTF`);
  }
  return { maps: [...maps], others: [...others] };
}
