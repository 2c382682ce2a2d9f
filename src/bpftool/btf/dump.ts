// `btf dump`: types as text, JSON or C.

import { BpfError, Errno } from '../../bpf/errno.js';
import { MapFlag } from '../../bpf/types.js';
import type { Btf } from '../../btf/btf.js';
import { dumpC } from '../../btf/dump-c.js';
import { rawText, rawTypes } from '../../btf/dump-raw.js';
import type { Arguments } from '../arguments.js';
import { parseUnsigned32 } from '../number.js';
import { closeAll, kernelError, loadedBtf, takeMap, takeProg, withFds } from '../objects.js';
import { infoOf } from '../prog/show.js';
import type { Tool } from '../tool.js';
import { statusOfErrno, ToolError, UsageRequest } from '../tool-error.js';
import { requireOrUsage } from '../usage.js';
import { mergedBtf } from './merge.js';
import { baseBtf, btfOfFile, isKernelFile, VMLINUX, vmlinuxBtf } from './source.js';

const MAX_ROOTS = 16;
const MAX_FILES = 64;

const EINVAL = statusOfErrno(Errno.EINVAL);
const E2BIG = statusOfErrno(Errno.E2BIG);

/** What is dumped: the types of a BTF object, or of files that are read when the rest of the line was understood. */
interface Source {
  load: () => Promise<Btf>;
  /** A map's key and value. */
  roots: number[];
}

interface Format {
  c: boolean;
  unsorted: boolean;
}

export async function dumpBtf(tool: Tool, args: Arguments): Promise<void> {
  await requireOrUsage(tool, args, 2);
  const source = await takeSource(tool, args);
  const { roots } = source;
  const format = takeFormat(args, roots);
  const btf = await source.load();
  for (const root of roots)
    if (root >= btf.typeCount) throw new ToolError(`invalid root ID: ${root}`, EINVAL);
  const only = roots.length > 0 ? { roots } : {};
  if (!format.c) {
    await dumpRaw(tool, btf, only.roots);
  } else if (tool.json) {
    throw new ToolError('JSON output for C-syntax dump is not supported', statusOfErrno(Errno.EOPNOTSUPP));
  } else {
    tool.print(dumpC(btf, { ...only, unsorted: format.unsorted }));
  }
}

/** Types by the thousand are written as they come. */
const TYPES_AT_ONCE = 1000;

async function dumpRaw(tool: Tool, btf: Btf, roots: readonly number[] | undefined): Promise<void> {
  const { json } = tool;
  let count = 0;
  const written = async () => {
    if (++count % TYPES_AT_ONCE === 0) await tool.flush();
  };
  if (!json) {
    for (const text of rawText(btf, roots)) {
      tool.print(text);
      await written();
    }
    return;
  }
  json.startObject();
  json.name('types');
  json.startArray();
  for (const type of rawTypes(btf, roots)) {
    json.value(type);
    await written();
  }
  json.endArray();
  json.endObject();
}

async function takeSource(tool: Tool, args: Arguments): Promise<Source> {
  if (args.take('map')) {
    await requireOrUsage(tool, args, 2);
    return takeMapSource(tool, args);
  }
  if (args.take('prog')) {
    await requireOrUsage(tool, args, 2);
    const bpf = await tool.bpf;
    const prog = await takeProg(tool, args);
    const { btfId } = await withFds(bpf, [prog], () => infoOf(bpf, prog));
    return { load: () => btfOfId(tool, btfId), roots: [] };
  }
  if (args.take('id')) {
    const word = args.next('BTF_ID');
    const id = parseUnsigned32(word);
    if (id === undefined) throw new ToolError(`can't parse ${word} as ID`);
    return { load: () => btfOfId(tool, id), roots: [] };
  }
  if (args.is('file')) {
    const btf = await takeFiles(tool, args);
    return { load: async () => btf, roots: [] };
  }
  throw new ToolError(`unrecognized BTF source specifier: '${args.next()}'`);
}

async function takeMapSource(tool: Tool, args: Arguments): Promise<Source> {
  const bpf = await tool.bpf;
  const map = await takeMap(tool, args, MapFlag.Rdonly);
  const info = await withFds(bpf, [map], () =>
    bpf.mapInfo(map).catch((error: unknown) => {
      throw kernelError(error, "can't get map info");
    }),
  );
  const load = () => btfOfId(tool, info.btfId);
  if (args.take('key')) return { load, roots: [info.btfKeyTypeId] };
  if (args.take('value')) return { load, roots: [info.btfValueTypeId] };
  if (args.take('all')) return { load, roots: [] };
  args.take('kv');
  return { load, roots: [info.btfKeyTypeId, info.btfValueTypeId] };
}

/** Takes `file FILE` as often as it is there. The kernel's own BTF is the base of the others, not one of them. */
async function takeFiles(tool: Tool, args: Arguments): Promise<Btf> {
  const files: string[] = [];
  while (args.take('file')) {
    args.require(1, EINVAL);
    const file = args.next('FILE');
    if (file === VMLINUX) {
      await tool.info(`skipping ${VMLINUX} (will be loaded as base)`);
      continue;
    }
    if (files.length >= MAX_FILES) throw new ToolError(`too many BTF files (max ${MAX_FILES})`, E2BIG);
    files.push(file);
  }
  const base = (await baseBtf(tool)) ?? (files.some(isKernelFile) ? await vmlinuxBtf(tool) : undefined);
  const [file = VMLINUX, ...more] = files;
  if (more.length === 0) return btfOfFile(tool, file, base);
  if (base === undefined) {
    throw new ToolError(
      'base BTF is required when merging multiple BTF files; use -B/--base-btf or use sysfs paths',
      EINVAL,
    );
  }
  const parts: Btf[] = [];
  for (const one of files) parts.push(await btfOfFile(tool, one, base));
  return mergedBtf(parts, base);
}

/** The options behind the source; root ids go to `roots`. */
function takeFormat(args: Arguments, roots: number[]): Format {
  const format = { c: false, unsorted: false };
  const filtered = roots.length > 0;
  while (args.left > 0) {
    if (args.take('format')) {
      if (args.left === 0) throw new ToolError("expecting value for 'format' option\n", EINVAL);
      const word = args.next();
      if (word !== 'c' && word !== 'raw') {
        throw new ToolError(`unrecognized format specifier: '${word}', possible values: raw, c`, EINVAL);
      }
      format.c = word === 'c';
    } else if (args.take('root_id')) {
      if (filtered) throw new ToolError('cannot use root_id with other type filtering', EINVAL);
      if (roots.length === MAX_ROOTS) throw new ToolError(`only ${MAX_ROOTS} root_id are supported`, E2BIG);
      if (args.left === 0) throw new UsageRequest();
      const word = args.next();
      const id = parseUnsigned32(word);
      if (id === undefined) throw new ToolError(`can't parse ${word} as root ID`);
      if (roots.includes(id)) throw new ToolError(`duplicate root_id ${id} supplied`, EINVAL);
      roots.push(id);
    } else if (args.take('unsorted')) {
      format.unsorted = true;
    } else {
      throw new ToolError(`unrecognized option: '${args.next()}'`, EINVAL);
    }
  }
  return format;
}

/** A BTF object of the kernel; a module's has the kernel's own, or what -B names, below it. */
async function btfOfId(tool: Tool, id: number): Promise<Btf> {
  const bpf = await tool.bpf;
  let base = await baseBtf(tool);
  try {
    if (base === undefined && (await isModule(tool, id))) {
      await tool.info(
        `Warning: valid base BTF was not specified with -B option, falling back to standard base BTF (${VMLINUX})`,
      );
      base = await vmlinuxBtf(tool);
    }
    return await loadedBtf(bpf, id, base);
  } catch (error) {
    const status = error instanceof BpfError ? statusOfErrno(error.errno) : undefined;
    throw error instanceof ToolError ? error : kernelError(error, `get btf by id (${id})`, status);
  }
}

async function isModule(tool: Tool, id: number): Promise<boolean> {
  const bpf = await tool.bpf;
  let fd: number;
  try {
    fd = await bpf.btfGetFdById(id);
  } catch (error) {
    // Text has both errors, this and that of loading it.
    const { message } = kernelError(error, `can't get BTF object by id (${id})`);
    if (!tool.json) await tool.error(message);
    throw error;
  }
  try {
    const { kernelBtf, name } = await bpf.btfInfo(fd);
    return kernelBtf && name !== 'vmlinux';
  } finally {
    await closeAll(bpf, [fd]);
  }
}
