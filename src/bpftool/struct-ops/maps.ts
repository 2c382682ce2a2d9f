// The struct_ops maps of a kernel, as commands name them: `id 7`, `name demo`, or all.

import type { Bpf, Fd, MapInfo } from '../../bpf/bpf.js';
import { BpfError, errnoMessage } from '../../bpf/errno.js';
import { MapType } from '../../bpf/types.js';
import type { Btf } from '../../btf/btf.js';
import { kernelBtf } from '../../loader/kernel-facts.js';
import { STRUCT_OPS_VALUE_PREFIX } from '../../loader/struct-ops.js';
import { type Arguments, isPrefix } from '../arguments.js';
import { parseUnsigned } from '../number.js';
import { allIds, fdOfId, kernelError, withFds } from '../objects.js';
import type { Tool } from '../tool.js';
import { ToolError, UsageRequest } from '../tool-error.js';

/** One of the maps; the descriptor is closed when the work on it is done. */
export interface StructOpsMap {
  fd: Fd;
  info: MapInfo;
}

/** Which maps are meant. */
export type Selection = { id: number } | { name: string } | undefined;

/** Takes `[ id ID | name NAME ]`. */
export function takeSelection(args: Arguments, required: boolean): Selection {
  if (args.left !== 2 && (required || args.left !== 0)) throw new UsageRequest();
  if (args.left === 0) return undefined;
  const type = args.next();
  const word = args.next();
  if (isPrefix(type, 'id')) {
    const id = parseUnsigned(word);
    if (id === undefined || id === 0n || id > 0xffffffffn) throw new ToolError(`invalid id ${word}`);
    return { id: Number(id) };
  }
  if (isPrefix(type, 'name')) return { name: word };
  throw new UsageRequest();
}

/** Calls `work` for each map that is meant. Gives back how many there were. */
export async function eachStructOps(
  bpf: Bpf,
  selection: Selection,
  work: (map: StructOpsMap) => Promise<void>,
): Promise<number> {
  const infoOf = (fd: Fd): Promise<MapInfo> =>
    bpf.mapInfo(fd).catch((error: unknown) => {
      throw kernelError(error, "can't get map info");
    });
  if (selection && 'id' in selection) {
    const { id } = selection;
    const fd = await bpf.mapGetFdById(id).catch((error: unknown) => {
      throw kernelError(error, `can't get map by id (${id})`);
    });
    return withFds(bpf, [fd], async () => {
      const info = await infoOf(fd);
      if (info.type !== MapType.StructOps) {
        throw new ToolError(`${info.name} id ${info.id} is not a struct_ops map`);
      }
      await work({ fd, info });
      return 1;
    });
  }
  let count = 0;
  for await (const id of allIds((after) => bpf.mapGetNextId(after), 'map')) {
    const fd = await fdOfId((known) => bpf.mapGetFdById(known), id, 'map');
    if (fd === undefined) continue;
    await withFds(bpf, [fd], async () => {
      const info = await infoOf(fd);
      if (info.type !== MapType.StructOps) return;
      if (selection !== undefined && selection.name !== info.name) return;
      count++;
      await work({ fd, info });
    });
  }
  return count;
}

/** The kernel's types, read when a map asks for them. */
export class KernelTypes {
  readonly #tool: Tool;
  #btf: Promise<Btf | undefined> | undefined;

  constructor(tool: Tool) {
    this.#tool = tool;
  }

  /** Undefined when the kernel does not tell them. */
  async get(): Promise<Btf | undefined> {
    this.#btf ??= this.#tool.bpf.then(kernelBtf);
    return this.#btf;
  }

  /** Fails with a ToolError without them. */
  async need(): Promise<Btf> {
    const btf = await this.get().catch((error: unknown) => {
      if (!(error instanceof BpfError)) throw error;
      throw new ToolError(errnoMessage(error.errno));
    });
    if (btf === undefined) throw new ToolError('struct_ops requires kernel CONFIG_DEBUG_INFO_BTF=y');
    return btf;
  }

  /** The kernel structure that a map implements. */
  async structOf({ btfVmlinuxValueTypeId }: MapInfo): Promise<string> {
    const btf = await this.get();
    return (
      btf?.nameOf(btfVmlinuxValueTypeId).slice(STRUCT_OPS_VALUE_PREFIX.length) ?? '<btf_vmlinux_not_found>'
    );
  }
}
