// `cgroup show` and `cgroup tree`: which programs run for the processes of a cgroup.

import type { Bpf, Fd, ProgQueryResult } from '../../bpf/bpf.js';
import { BpfError, Errno, errnoMessage } from '../../bpf/errno.js';
import { AttachFlag, type AttachType, attachTypeName } from '../../bpf/types.js';
import { Btf } from '../../btf/btf.js';
import type { Arguments } from '../arguments.js';
import { fullProgName, withFds } from '../objects.js';
import { unescapeMount } from '../token.js';
import type { Tool } from '../tool.js';
import { FAILED, ToolError } from '../tool-error.js';
import { CGROUP_HOOKS } from './attach-types.js';

/** BPF_F_QUERY_EFFECTIVE: also what cgroups further up hand down. */
const QUERY_EFFECTIVE = 1;

/** What the listing of a hook needs to know. */
interface Listing {
  tool: Tool;
  bpf: Bpf;
  effective: boolean;
  /** The kernel's own types, by which programs of lsm hooks name what they hook. */
  kernelBtf: KernelBtf;
}

class KernelBtf {
  readonly #bpf: Bpf;
  #types: Promise<Btf | undefined> | undefined;

  constructor(bpf: Bpf) {
    this.#bpf = bpf;
  }

  /** The name of a type in the kernel's own BTF; undefined for a type of a module. */
  async nameOf(objectId: number, typeId: number): Promise<string | undefined> {
    if (objectId === 0 || !(await this.#isKernel(objectId))) return undefined;
    this.#types ??= this.#bpf.readFile('/sys/kernel/btf/vmlinux').then(
      (bytes) => Btf.parse(bytes),
      () => undefined,
    );
    const types = await this.#types;
    return types && typeId < types.typeCount ? types.nameOf(typeId) : undefined;
  }

  async #isKernel(id: number): Promise<boolean> {
    try {
      const fd = await this.#bpf.btfGetFdById(id);
      return await withFds(this.#bpf, [fd], async () => (await this.#bpf.btfInfo(fd)).name === 'vmlinux');
    } catch (error) {
      if (error instanceof BpfError) return false;
      throw error;
    }
  }
}

/** Takes `effective`, once. */
function takeEffective(args: Arguments): boolean {
  let effective = false;
  while (args.left > 0) {
    if (!args.is('effective')) {
      throw new ToolError(`expected no more arguments, 'effective', got: '${args.next()}'?`);
    }
    if (effective) throw new ToolError(`duplicated argument: ${args.next()}`);
    effective = true;
    args.skip();
  }
  return effective;
}

/** What runs at a hook; undefined when the kernel does not say. */
async function query(
  { bpf, effective }: Listing,
  cgroup: Fd,
  attachType: AttachType,
): Promise<ProgQueryResult | BpfError> {
  try {
    const flags = effective ? QUERY_EFFECTIVE : 0;
    return await bpf.progQuery({ target: cgroup, attachType, flags });
  } catch (error) {
    if (error instanceof BpfError) return error;
    throw error;
  }
}

/** Whether anything runs at any hook. A hook that the kernel does not know has nothing; another refusal is an error. */
async function hasPrograms(listing: Listing, cgroup: Fd, path: string): Promise<boolean> {
  for (const attachType of CGROUP_HOOKS) {
    const found = await query(listing, cgroup, attachType);
    if (!(found instanceof BpfError)) {
      if (found.programs.length > 0) return true;
    } else if (found.errno !== Errno.EINVAL) {
      throw new ToolError(
        `can't query bpf programs attached to ${path}: ${errnoMessage(found.errno)}`,
        FAILED,
      );
    }
  }
  return false;
}

/** How a program tolerates others, in a word. */
function flagsWord(flags: number): string {
  switch (flags) {
    case 0:
      return '';
    case AttachFlag.AllowMulti:
      return 'multi';
    case AttachFlag.AllowOverride:
      return 'override';
    default:
      return `unknown(${flags.toString(16)})`;
  }
}

/** Lists what runs at every hook; `indent` stands before each line. Whether the kernel answered for one of them at least. */
async function listPrograms(listing: Listing, cgroup: Fd, indent: string): Promise<boolean> {
  let answered = false;
  for (const attachType of CGROUP_HOOKS) {
    const found = await query(listing, cgroup, attachType);
    if (found instanceof BpfError) continue;
    answered = true;
    for (const { progId, attachFlags } of found.programs) {
      const flags = flagsWord(attachFlags || found.attachFlags);
      await listProgram(listing, progId, attachType, flags, indent);
    }
  }
  return answered;
}

async function listProgram(
  { tool, bpf, effective, kernelBtf }: Listing,
  id: number,
  attachType: AttachType,
  flags: string,
  indent: string,
): Promise<void> {
  let fd: Fd;
  try {
    fd = await bpf.progGetFdById(id);
  } catch (error) {
    // Gone meanwhile.
    if (error instanceof BpfError) return;
    throw error;
  }
  await withFds(bpf, [fd], async () => {
    const info = await bpf.progInfo(fd);
    const name = await fullProgName(bpf, info, fd);
    const { attachBtfObjId, attachBtfId } = info;
    const hooked = await kernelBtf.nameOf(attachBtfObjId, attachBtfId);
    const type = attachTypeName(attachType);
    if (tool.json) {
      tool.json.value({
        id,
        attach_type: type ?? attachType,
        attach_flags: effective ? undefined : flags,
        name,
        attach_btf_name: hooked,
        attach_btf_obj_id: attachBtfObjId,
        attach_btf_id: attachBtfId,
      });
      return;
    }
    let line = `${indent}${String(id).padEnd(8)} `;
    line += type === undefined ? `type ${String(attachType).padEnd(10)}` : type.padEnd(15);
    if (!effective) line += ` ${flags.padEnd(15)}`;
    line += ` ${name.padEnd(15)}`;
    if (hooked !== undefined) line += ` ${hooked.padEnd(15)}`;
    else if (attachBtfId) line += ` attach_btf_obj_id=${attachBtfObjId} attach_btf_id=${attachBtfId}`;
    tool.print(`${line}\n`);
  });
}

const titles = (effective: boolean): string =>
  `${['ID'.padEnd(8), 'AttachType', ...(effective ? [] : ['AttachFlags']), 'Name']
    .map((title, i) => (i === 0 ? title : title.padEnd(15)))
    .join(' ')}\n`;

/** Opens a cgroup's directory. */
export async function openCgroup(tool: Tool, path: string): Promise<Fd> {
  try {
    return await (await tool.bpf).open(tool.path(path));
  } catch (error) {
    if (error instanceof BpfError) throw new ToolError(`can't open cgroup ${path}`);
    throw error;
  }
}

export async function show(tool: Tool, args: Arguments): Promise<number | undefined> {
  args.require(1);
  const path = args.next();
  const effective = takeEffective(args);
  const bpf = await tool.bpf;
  const listing: Listing = { tool, bpf, effective, kernelBtf: new KernelBtf(bpf) };
  const cgroup = await openCgroup(tool, path);
  return withFds(bpf, [cgroup], async () => {
    if (!(await hasPrograms(listing, cgroup, path))) return undefined;
    if (tool.json) tool.json.startArray();
    else tool.print(titles(effective));
    const answered = await listPrograms(listing, cgroup, '');
    tool.json?.endArray();
    return answered ? undefined : FAILED;
  });
}

/** Where the cgroups of version 2 are mounted. */
async function cgroupRoot(bpf: Bpf): Promise<string> {
  const mounts = await bpf.readFile('/proc/mounts').then(
    (bytes) => new TextDecoder().decode(bytes),
    () => '',
  );
  for (const line of mounts.split('\n')) {
    const [, directory = '', type] = line.split(' ');
    if (type === 'cgroup2') return unescapeMount(directory);
  }
  throw new ToolError("cgroup v2 isn't mounted");
}

/** The directories below `path` and itself, each before what is in it; `level` counts from 0. */
async function* directories(
  bpf: Bpf,
  path: string,
  level = 0,
): AsyncGenerator<{ path: string; level: number }> {
  yield { path, level };
  for (const { name, kind } of await bpf.fileList(path).catch(() => [])) {
    if (kind === 'directory') yield* directories(bpf, `${path === '/' ? '' : path}/${name}`, level + 1);
  }
}

export async function tree(tool: Tool, args: Arguments): Promise<undefined> {
  const bpf = await tool.bpf;
  const root = args.left > 0 ? args.next() : await cgroupRoot(bpf);
  const effective = takeEffective(args);
  const listing: Listing = { tool, bpf, effective, kernelBtf: new KernelBtf(bpf) };
  if (tool.json) tool.json.startArray();
  else tool.print(`CgroupPath\n${titles(effective)}`);
  const top = tool.path(root);
  const found = await bpf.fileStat(top).catch((error: unknown) => {
    if (!(error instanceof BpfError)) throw error;
    throw new ToolError(`can't iterate over ${root}: ${errnoMessage(error.errno)}`);
  });
  if (found.kind === 'directory') {
    for await (const { path, level } of directories(bpf, top)) {
      const shown = root + path.slice(top.length);
      await listCgroup(listing, path, shown, level);
    }
  }
  tool.json?.endArray();
}

async function listCgroup(listing: Listing, path: string, shown: string, level: number): Promise<void> {
  const { tool, bpf } = listing;
  const cgroup = await bpf.open(path).catch((error: unknown) => {
    if (!(error instanceof BpfError)) throw error;
    throw new ToolError(`can't open cgroup ${shown}: ${errnoMessage(error.errno)}`);
  });
  await withFds(bpf, [cgroup], async () => {
    if (!(await hasPrograms(listing, cgroup, shown))) return;
    if (tool.json) {
      tool.json.startObject();
      tool.json.member('cgroup', shown);
      tool.json.name('programs');
      tool.json.startArray();
    } else {
      tool.print(`${shown}\n`);
    }
    await listPrograms(listing, cgroup, level > 0 ? '    ' : '');
    tool.json?.endArray();
    tool.json?.endObject();
  });
}
