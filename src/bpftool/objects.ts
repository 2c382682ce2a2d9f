// Programs and maps as commands name them: `id 7`, `pinned /sys/fs/bpf/x`, `name x`, `tag 0123...`; their ids, and the paths
// where they are pinned.

import type { Bpf, Fd, FileEntry, ObjKind, ProgInfo } from '../bpf/bpf.js';
import { BpfError, Errno, errnoMessage } from '../bpf/errno.js';
import { Btf } from '../btf/btf.js';
import type { Arguments } from './arguments.js';
import { IdTable } from './id-table.js';
import { parseUnsigned32 } from './number.js';
import type { Tool } from './tool.js';
import { FAILED, statusOfErrno, ToolError } from './tool-error.js';

/** What the kernel keeps of a name, without the 0 that ends it. */
const OBJECT_NAME = 15;
/** The longest name that the tool takes for a program. */
const FULL_NAME = 127;

/** The kernel's refusal in the tool's words: `WHAT: No such file or directory`. What is no kernel's error is thrown on. */
export function kernelError(error: unknown, what: string, status: number = FAILED): ToolError {
  if (!(error instanceof BpfError)) throw error;
  return new ToolError(`${what}: ${errnoMessage(error.errno)}`, status);
}

/** Gives descriptors back. That one of them is gone already is no trouble. */
export async function closeAll(bpf: Bpf, fds: readonly Fd[]): Promise<void> {
  for (const fd of fds) {
    await bpf.close(fd).catch((error: unknown) => {
      if (!(error instanceof BpfError)) throw error;
    });
  }
}

/** Works on descriptors and gives them back, whatever happens. */
export async function withFds<T>(bpf: Bpf, fds: readonly Fd[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await closeAll(bpf, fds);
  }
}

/** Every id that `next` (progGetNextId ...) leads to. `what` is the kind of object, for the error. */
export async function* allIds(next: (id: number) => Promise<number>, what: string): AsyncGenerator<number> {
  for (let id = 0; ; ) {
    try {
      id = await next(id);
    } catch (error) {
      if (error instanceof BpfError && error.errno === Errno.ENOENT) return;
      if (!(error instanceof BpfError)) throw error;
      const old = error.errno === Errno.EINVAL ? ' -- kernel too old?' : '';
      throw new ToolError(`can't get next ${what}: ${errnoMessage(error.errno)}${old}`);
    }
    yield id;
  }
}

/** A descriptor of the object, or undefined when it has gone meanwhile. */
export async function fdOfId(
  get: (id: number) => Promise<Fd>,
  id: number,
  what: string,
): Promise<Fd | undefined> {
  try {
    return await get(id);
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.ENOENT) return undefined;
    throw kernelError(error, `can't get ${what} by id (${id})`);
  }
}

/**
 * The name of a program. The kernel keeps 15 bytes of it; where these are full, the function that the program begins with
 * has the whole name in its BTF.
 */
export async function fullProgName(bpf: Bpf, info: ProgInfo, prog: Fd): Promise<string> {
  if (info.name.length < OBJECT_NAME || info.btfId === 0) return info.name;
  try {
    const { funcInfo } = await bpf.progDump(prog);
    if (funcInfo.length < 8) return info.name;
    const typeId = new DataView(funcInfo.buffer, funcInfo.byteOffset).getUint32(4, true);
    const btf = await loadedBtf(bpf, info.btfId);
    return btf.kind(typeId) === 'FUNC' ? btf.nameOf(typeId) : info.name;
  } catch (error) {
    if (error instanceof BpfError) return info.name;
    throw error;
  }
}

/** The BTF object of this id, parsed; with the kernel's own below it where it is a module's. Fails with a BpfError. */
export async function loadedBtf(bpf: Bpf, id: number, base?: Btf): Promise<Btf> {
  const fd = await bpf.btfGetFdById(id);
  try {
    const data = await bpf.btfData(fd);
    return Btf.parse(data, base === undefined ? {} : { base });
  } finally {
    await closeAll(bpf, [fd]);
  }
}

function takeId(args: Arguments): number {
  args.skip();
  const word = args.next('ID');
  const id = parseUnsigned32(word);
  if (id === undefined) throw new ToolError(`can't parse ${word} as ID`);
  return id;
}

const byteLength = (text: string): number => new TextEncoder().encode(text).length;

function takeName(args: Arguments, longest: number): string {
  args.skip();
  const name = args.next('NAME');
  if (byteLength(name) > longest) throw new ToolError("can't parse name");
  return name;
}

function takeTag(args: Arguments): string {
  args.skip();
  const tag = args.next('TAG');
  if (!/^[0-9a-f]{16}/i.test(tag)) throw new ToolError("can't parse tag");
  return tag.slice(0, 16).toLowerCase();
}

/** Takes `PROG`: every program that it means, each with a descriptor to be closed. At least one. */
export async function takeProgs(tool: Tool, args: Arguments): Promise<Fd[]> {
  const bpf = await tool.bpf;
  if (args.is('id')) {
    const id = takeId(args);
    try {
      return [await bpf.progGetFdById(id)];
    } catch (error) {
      throw kernelError(error, `get by id (${id})`);
    }
  }
  if (args.is('tag')) {
    const tag = takeTag(args);
    return progsThat(bpf, `has the tag ${tag}`, async (info) => info.tag === tag);
  }
  if (args.is('name')) {
    const name = takeName(args, FULL_NAME);
    return progsThat(
      bpf,
      `is named ${name}`,
      async (info, fd) => name.startsWith(info.name) && (await fullProgName(bpf, info, fd)) === name,
    );
  }
  if (args.is('pinned')) {
    args.skip();
    return [await openPinned(tool, args.next('FILE'), 'prog')];
  }
  throw new ToolError(`expected 'id', 'tag', 'name' or 'pinned', got: '${args.next('PROG')}'?`);
}

async function progsThat(
  bpf: Bpf,
  what: string,
  wanted: (info: ProgInfo, fd: Fd) => Promise<boolean>,
): Promise<Fd[]> {
  const found: Fd[] = [];
  try {
    for await (const id of allIds((after) => bpf.progGetNextId(after), 'program')) {
      const fd = await fdOfId((one) => bpf.progGetFdById(one), id, 'prog');
      if (fd === undefined) continue;
      found.push(fd);
      const info = await bpf.progInfo(fd).catch((error: unknown) => {
        throw kernelError(error, `can't get prog info (${id})`);
      });
      if (await wanted(info, fd)) continue;
      found.pop();
      await closeAll(bpf, [fd]);
    }
  } catch (error) {
    await closeAll(bpf, found);
    throw error;
  }
  if (found.length === 0) throw new ToolError(`no program ${what}`);
  return found;
}

/** Takes `PROG`, which must mean one program. */
export async function takeProg(tool: Tool, args: Arguments): Promise<Fd> {
  return onlyOne(await tool.bpf, await takeProgs(tool, args), 'programs');
}

/** Takes `MAP`: every map that it means, each with a descriptor to be closed. `openFlags`: MapFlag.Rdonly to look only. */
export async function takeMaps(tool: Tool, args: Arguments, openFlags = 0): Promise<Fd[]> {
  const bpf = await tool.bpf;
  if (args.is('id')) {
    const id = takeId(args);
    try {
      return [await bpf.mapGetFdById(id, openFlags)];
    } catch (error) {
      throw kernelError(error, `get map by id (${id})`);
    }
  }
  if (args.is('name')) return mapsNamed(bpf, takeName(args, OBJECT_NAME), openFlags);
  if (args.is('pinned')) {
    args.skip();
    return [await openPinned(tool, args.next('FILE'), 'map', openFlags)];
  }
  throw new ToolError(`expected 'id', 'name' or 'pinned', got: '${args.next('MAP')}'?`);
}

async function mapsNamed(bpf: Bpf, name: string, openFlags: number): Promise<Fd[]> {
  const found: Fd[] = [];
  try {
    for await (const id of allIds((after) => bpf.mapGetNextId(after), 'map')) {
      const fd = await fdOfId((one) => bpf.mapGetFdById(one, openFlags), id, 'map');
      if (fd === undefined) continue;
      found.push(fd);
      const info = await bpf.mapInfo(fd).catch((error: unknown) => {
        throw kernelError(error, `can't get map info (${id})`);
      });
      if (info.name === name) continue;
      found.pop();
      await closeAll(bpf, [fd]);
    }
  } catch (error) {
    await closeAll(bpf, found);
    throw error;
  }
  if (found.length === 0) throw new ToolError(`no map is named ${name}`);
  return found;
}

/** Takes `MAP`, which must mean one map. */
export async function takeMap(tool: Tool, args: Arguments, openFlags = 0): Promise<Fd> {
  return onlyOne(await tool.bpf, await takeMaps(tool, args, openFlags), 'maps');
}

async function onlyOne(bpf: Bpf, fds: readonly Fd[], what: string): Promise<Fd> {
  const [fd] = fds;
  if (fd !== undefined && fds.length === 1) return fd;
  await closeAll(bpf, fds);
  throw new ToolError(`several ${what} match this handle`);
}

/** The object that is pinned there, which must be of this kind. */
export async function openPinned(tool: Tool, path: string, kind: ObjKind, fileFlags = 0): Promise<Fd> {
  const bpf = await tool.bpf;
  const where = tool.path(path);
  let fd: Fd;
  try {
    fd = await bpf.objGet(where, fileFlags);
  } catch (error) {
    if (error instanceof BpfError && error.errno === Errno.EACCES && !(await isBpffs(bpf, parentOf(where)))) {
      throw new ToolError(`bpf obj get (${path}): directory not in bpf file system (bpffs)`);
    }
    throw kernelError(error, `bpf obj get (${path})`);
  }
  const found = await bpf.objKind(fd);
  if (found === kind) return fd;
  await closeAll(bpf, [fd]);
  throw new ToolError(`incorrect object type: ${found === 'btf' ? 'unknown' : found}`);
}

const parentOf = (path: string): string => path.replace(/\/+[^/]*\/*$/, '') || '/';

/** Whether a directory is in a bpf file system. */
export async function isBpffs(bpf: Bpf, directory: string): Promise<boolean> {
  const inside = (await bpf.bpfMounts()).some(
    (mount) => directory === mount || directory.startsWith(`${mount}/`),
  );
  if (!inside) return false;
  return bpf.fileStat(directory).then(
    () => true,
    () => false,
  );
}

const exists = (bpf: Bpf, path: string): Promise<boolean> =>
  bpf.fileStat(path).then(
    () => true,
    () => false,
  );

/** Fails when nothing can be pinned at `path`: the name is taken, or its directory is not in a bpf file system. */
export async function checkPinPath(tool: Tool, path: string): Promise<void> {
  const bpf = await tool.bpf;
  const where = tool.path(path);
  if (await exists(bpf, where)) throw new ToolError(`can't pin BPF object: path '${path}' already exists`);
  const directory = parentOf(where);
  if (await isBpffs(bpf, directory)) return;
  if (!(await exists(bpf, directory))) {
    throw new ToolError(`can't pin BPF object: dir '${directory}' doesn't exist`);
  }
  throw new ToolError(await noBpffs(tool, directory));
}

/** Sees to it that there is a directory for pins. */
export async function checkPinDirectory(tool: Tool, path: string): Promise<void> {
  const bpf = await tool.bpf;
  const where = tool.path(path);
  if (await isBpffs(bpf, where)) return;
  if (!(await exists(bpf, where))) {
    const parent = parentOf(where);
    // Whoever pins makes the directory itself.
    if (await isBpffs(bpf, parent)) return;
    if (!(await exists(bpf, parent))) {
      throw new ToolError(
        `can't create dir '${path}' to pin BPF object: parent dir '${parent}' doesn't exist`,
      );
    }
  }
  throw new ToolError(await noBpffs(tool, where));
}

/** The real tool mounts one over the directory; that is left to whoever may mount. */
async function noBpffs(tool: Tool, directory: string): Promise<string> {
  if (tool.options.nomount) return 'no BPF file system found, not mounting it due to --nomount option';
  const [mount] = await (await tool.bpf).bpfMounts();
  const hint = mount === undefined ? 'mount one with: mount -t bpf bpf /sys/fs/bpf' : `pin under ${mount}`;
  return `no BPF file system at '${directory}', and none is mounted for you: ${hint}`;
}

/** Pins what is behind the descriptor. */
export async function pinFd(tool: Tool, fd: Fd, path: string): Promise<void> {
  await checkPinPath(tool, path);
  try {
    await (await tool.bpf).objPin(fd, tool.path(path));
  } catch (error) {
    const status = error instanceof BpfError ? statusOfErrno(error.errno) : FAILED;
    throw kernelError(error, `can't pin the object (${path})`, status);
  }
}

/** `pin OBJECT FILE`, for whatever `take` takes. */
export async function pinAny(
  tool: Tool,
  args: Arguments,
  take: (tool: Tool, args: Arguments) => Promise<Fd>,
): Promise<void> {
  args.require(3, statusOfErrno(Errno.EINVAL));
  const fd = await take(tool, args);
  await withFds(await tool.bpf, [fd], () => pinFd(tool, fd, args.next('FILE')));
  tool.done();
}

/** Where objects of a kind are pinned: the paths by id, as `-f` shows them. Empty without that option. */
export async function pinnedPaths(
  tool: Tool,
  kind: 'prog' | 'map' | 'link',
): Promise<ReadonlyMap<number, readonly string[]>> {
  const paths = new IdTable<string>();
  if (!tool.options.bpffs) return paths.lists;
  const bpf = await tool.bpf;
  const idOf = async (fd: Fd): Promise<number> => {
    if (kind === 'prog') return (await bpf.progInfo(fd)).id;
    if (kind === 'map') return (await bpf.mapInfo(fd)).id;
    return (await bpf.linkInfo(fd)).id;
  };
  for (const mount of await bpf.bpfMounts()) {
    for await (const path of pinsBelow(bpf, mount, kind)) {
      try {
        const fd = await bpf.objGet(path);
        await withFds(bpf, [fd], async () => {
          paths.append(await idOf(fd), path);
        });
      } catch (error) {
        // Gone meanwhile, or not ours to read.
        if (!(error instanceof BpfError)) throw error;
      }
    }
  }
  return paths.lists;
}

/** Processes that hold an object by descriptors. */
export interface Holder {
  pid: number;
  comm: string;
}

/** Who holds objects of a kind: the processes by id. Kernels say this through an iterator over descriptors. */
export async function holders(tool: Tool, _kind: ObjKind): Promise<ReadonlyMap<number, readonly Holder[]>> {
  tool.leftErrno = Errno.EBADF;
  return new Map();
}

async function* pinsBelow(bpf: Bpf, directory: string, kind: FileEntry['kind']): AsyncGenerator<string> {
  let entries: FileEntry[];
  try {
    entries = await bpf.fileList(directory);
  } catch (error) {
    if (error instanceof BpfError) return;
    throw error;
  }
  for (const entry of entries) {
    const path = `${directory === '/' ? '' : directory}/${entry.name}`;
    if (entry.kind === 'directory') yield* pinsBelow(bpf, path, kind);
    else if (entry.kind === kind) yield path;
  }
}
